"""Forecasts of config/forecasts.yml: how each is learned and judged, and what the models in service say."""

import json
from datetime import UTC, datetime, time
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import psycopg

from orchestration.predict import artefacts, inputs
from orchestration.predict.made import Challenger, Lesson
from orchestration.predict.registry import Metrics, Model
from orchestration.predict.series import Wanted

if TYPE_CHECKING:
    import pandas as pd

    from ml.forecast import Learned
    from ml.promotion import Comparison

WINDOWS, WINDOWS_OF_MANY = 3, 1  # past origins that a model is judged at: many series tell enough at one
MANY = 4
SEED = 0
LEAST_AHEAD = {"day": 28, "hour": 336}  # steps that a test needs besides the horizon
BLOCK = {"day": 7, "hour": 24}  # steps whose errors are taken to belong together
LIMITS = ("yhat", "lo_80", "hi_80", "lo_95", "hi_95")
COLUMNS = ("series_id", "ds", *LIMITS, "intervals", "model_id", "load_id", "data_hash")


def model_name(forecast: str) -> str:
    return f"forecast_{forecast}"


def too_little(wanted: Wanted) -> str | None:
    """Why a forecast cannot be learned and tested, in one sentence."""
    asked, whole = wanted.asked, wanted.frame[wanted.frame["unique_id"] == wanted.name]
    least = asked.horizon + LEAST_AHEAD[asked.grain]
    if len(whole) >= least:
        return None
    return (
        f"{wanted.name} has {len(whole)} complete {asked.grain}s: a forecast over {asked.horizon} {asked.grain}s "
        f"that can be tested needs {least}."
    )


def lesson(wanted: Wanted) -> Lesson:
    name = model_name(wanted.name)
    if reason := too_little(wanted):
        return Lesson(name, reason=reason)
    return Lesson(name, partial(learn, wanted), inputs.checksum(wanted.frame), parameters(wanted) | {"seed": SEED})


def learn(wanted: Wanted, before: bytes | None) -> Challenger:
    """A challenger and its scores at past origins, beside a plain baseline and beside the model in service."""
    from ml import forecast

    windows = _windows(wanted)
    country, known = wanted.country, wanted.known
    learned = forecast.learn(
        wanted.frame, wanted.asked.horizon, wanted.freq, wanted.levels, windows, country=country, known=known
    )
    return Challenger(
        artefacts.dump_forecasters(learned.forecasters),
        _metrics(wanted, learned.scores, windows),
        _against(wanted, learned, before, windows),
    )


def parameters(wanted: Wanted) -> dict:
    known = None if wanted.known is None else inputs.checksum(wanted.known)
    around = {"country": wanted.country, "levels": list(wanted.levels), "windows": _windows(wanted), "known": known}
    return wanted.asked.model_dump(mode="json") | around


def _windows(wanted: Wanted) -> int:
    return WINDOWS if wanted.frame["unique_id"].nunique() < MANY else WINDOWS_OF_MANY


def _metrics(wanted: Wanted, scores: "pd.DataFrame", windows: int) -> Metrics:
    """Means over the series; one that repeats itself exactly has no scaled error and is left out of them."""
    import numpy as np

    from ml import forecast

    means = scores.replace([np.inf, -np.inf], np.nan).groupby("model").mean(numeric_only=True)
    own, plain = means.loc[forecast.COMBINATION], means.loc[forecast.BASELINE]
    count = scores["unique_id"].nunique()
    of = "" if count == 1 else f" of each of {count} series"
    if not np.isfinite([own["mase"], plain["mase"]]).all():
        raise ValueError(f"no past of {wanted.name} has anything to be wrong about: it repeats itself exactly")
    also = {name: own[name] for name in ("smape", "pinball")}
    if "Prophet" in means.index:
        also["mase_prophet"] = means.loc["Prophet", "mase"]
    coverage = {str(level): own[f"coverage_{level}"] for level in (80, 95)}  # unknown where no past could tell
    return Metrics(
        measure="MASE",
        better="lower",
        value=float(own["mase"]),
        baseline=float(plain["mase"]),
        baseline_name="seasonal naive",
        tested_on=f"{windows} window{'s' if windows > 1 else ''} of {wanted.asked.horizon} {wanted.asked.grain}s{of}",
        coverage={level: round(float(share), 4) for level, share in coverage.items() if np.isfinite(share)},
        also={name: float(value) for name, value in also.items() if np.isfinite(value)},
    )


def _against(wanted: Wanted, learned: "Learned", before: bytes | None, windows: int) -> "Comparison | None":
    """The paired losses of the challenger and of the model in service, at the same origins of the same series.

    A series that the model in service does not know it would have forecast no better than the plain baseline. None
    where there is nothing to compare with: no model, or one for another horizon.
    """
    if before is None:
        return None
    from ml import forecast, promotion

    forecasters = artefacts.load_forecasters(before)
    if forecasters[0].horizon != learned.forecasters[0].horizon:
        return None
    told = learned.told
    said = forecast.replay(forecasters, wanted.frame, windows, country=wanted.country, known=wanted.known)
    key = ["unique_id", "window", "step"]
    both = told.merge(said[[*key, "yhat"]], "left", key, suffixes=("", "_before")).dropna(subset=["y", "yhat"])
    both["yhat_before"] = both["yhat_before"].fillna(both["baseline"])
    scale = both["unique_id"].map(_scales(wanted))
    both = both[scale > 0].assign(scale=scale)
    weeks = (both["step"] - 1) // BLOCK[wanted.asked.grain]
    blocks = both["unique_id"] + "/" + both["window"].astype(str) + "/" + weeks.astype(str)
    if blocks.nunique() < promotion.LEAST_BLOCKS:
        return None
    own, other = (abs(both["y"] - both[column]) / both["scale"] for column in ("yhat", "yhat_before"))
    return promotion.compare_paired(own.to_numpy(), other.to_numpy(), blocks.to_numpy(), SEED)


def _scales(wanted: Wanted) -> dict[str, float]:
    """The seasonal naive error of each series: what makes errors of large and small ones comparable."""
    from ml.forecast.series import season_of
    from ml.scores import seasonal_scale

    season = season_of(wanted.freq)
    return {name: seasonal_scale(one["y"].to_numpy(), season) for name, one in wanted.frame.groupby("unique_id")}


# Predicting ----------------------------------------------------------------------------------------------------------


def said_already(connection: psycopg.Connection, wanted: Wanted, model: Model, load_id: int) -> bool:
    """Whether this model has made its forecast from this state or from the same history: then it stands, frozen."""
    query = "select 1 from ml.forecasts where model_id = %s and (data_hash = %s or load_id = %s) limit 1"
    return connection.execute(query, [model.model_id, _short_hash(wanted), load_id]).fetchone() is not None


def known_to(artefact: bytes) -> set[str]:
    """The series that a model learned."""
    return {one.unique_id for one in artefacts.load_forecasters(artefact)}


def say(wanted: Wanted, artefact: bytes, model_id: str, zone: str, load_id: int) -> list[tuple]:
    """The rows of ml.forecasts that follow the newest final step of each series, reconciled where parts add up."""
    from ml import forecast

    forecasters = artefacts.load_forecasters(artefact)
    told = forecast.predict(forecasters, wanted.frame, country=wanted.country, known=wanted.known)
    names = set(told["unique_id"])
    is_whole = all({name, *parts} <= names for name, parts in wanted.hierarchy.items())
    told = forecast.reconcile(told, wanted.hierarchy if is_whole else {})  # not while the rest is new to the model
    further = [level for level in wanted.levels if level not in (80, 95) and f"lo_{level}" in told]
    data_hash = _short_hash(wanted)
    rows = []
    for one in told.to_dict("records"):
        intervals = {str(level): [one[f"lo_{level}"], one[f"hi_{level}"]] for level in further}
        limits = [one[column] for column in LIMITS]
        rows.append(
            (
                one["unique_id"],
                moment(one["ds"], zone),
                *limits,
                json.dumps(intervals),
                model_id,
                load_id,
                data_hash,
            )
        )
    return rows


def moment(ds: "pd.Timestamp", zone: str) -> datetime:
    """When a step begins: an hour does where it says, a day at the tenant's midnight."""
    if ds.tzinfo is not None:
        return ds.to_pydatetime().astimezone(UTC)
    return datetime.combine(ds.date(), time(), ZoneInfo(zone))


def _short_hash(wanted: Wanted) -> str:
    """Of the history and of what is known ahead."""
    parts = [inputs.checksum(frame) for frame in (wanted.frame, wanted.known) if frame is not None]
    return sha256("".join([*parts, str(wanted.country)]).encode()).hexdigest()[:16]
