"""A shadow beside the version in service: their losses on what came true, compared as an experiment."""

from dataclasses import dataclass

import psycopg

from orchestration.errors import TidemarkError
from orchestration.predict import registry

# Losses that are better when smaller, of both versions: the unit that one of them serves, and what belongs together.
_LOSSES = {
    "forecast": """
        select series_id as unit, series_id || '/' || date_trunc('week', ds at time zone ops.timezone()) as block,
            series_id || '/' || ds || '/' || horizon as pair, avg(coalesce(mase, smape / 100))
        from ml.forecast_scores where model_id = %s group by 1, 2, 3""",
    "people": """
        select user_id as unit, user_id as block, user_id || '/' || as_of as pair, (probability - has_churned::int) ^ 2
        from ml.churn_scores where model_id = %s and has_churned is not null""",
}


@dataclass(frozen=True)
class Compared:
    """What came of a shadow so far. `paired`: both on the same; `split`: each on whom it served."""

    shadow: str
    serving: str
    share: float
    paired: str
    split: str | None
    decision: str


def compare(connection: psycopg.Connection, name: str) -> Compared:
    """Compare the shadow of `name` with the version in service. Raises TidemarkError without one, or without truth."""
    import numpy as np
    import pandas as pd

    from ml import promotion

    models = registry.predicting(connection, name)
    if len(models) < 2:
        raise TidemarkError(f"{name} has no shadow: let a version predict beside it with `./tidemark models shadow`.")
    query = _LOSSES["forecast" if name.startswith("forecast_") else "people"]
    losses = [
        pd.DataFrame(connection.execute(query, [one.model_id]).fetchall(), columns=["unit", "block", "pair", "loss"])
        for one in models
    ]
    serving, shadow = models
    both = losses[1].merge(losses[0][["pair", "loss"]], on="pair", suffixes=("", "_serving"))
    try:
        paired = promotion.compare_paired(
            both["loss"].to_numpy(float), both["loss_serving"].to_numpy(float), both["block"].to_numpy(str)
        )
    except ValueError as error:
        raise TidemarkError(f"{shadow.model_id} and {serving.model_id} cannot be told apart yet: {error}") from error
    split = None
    if shadow.share:
        query = "select unit from unnest(%s::text[]) as units (unit) where ml.serves(%s, unit)"
        units = sorted(set(both["unit"]))
        served = {row[0] for row in connection.execute(query, [units, shadow.model_id])}
        own, other = (some.groupby("unit")["loss"].mean().astype(float) for some in losses[::-1])
        own, other = own[own.index.isin(served)], other[~other.index.isin(served)]
        if min(len(own), len(other)) >= promotion.LEAST_BLOCKS:
            split = promotion.compare_groups(np.array(own), np.array(other))
    return Compared(
        shadow.model_id,
        serving.model_id,
        shadow.share,
        str(paired),
        split and str(split),
        _decision(paired, serving.model_id, shadow.model_id),
    )


def _decision(paired, serving: str, shadow: str) -> str:
    if paired.is_better:
        return f"Promote {shadow}: it is surely better."
    if paired.lo > 0:
        return f"Retire {shadow}: it is surely worse."
    return f"Keep both running: {shadow} and {serving} cannot be told apart yet."
