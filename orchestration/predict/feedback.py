"""What became of predictions: frozen forecasts are scored and people's scores settled when the truth has arrived."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from orchestration import settings
from orchestration.predict import features, forecasts, inputs, series

if TYPE_CHECKING:
    import pandas as pd

_SCORES = ("series_id", "model_id", "load_id", "ds", "horizon", "value", "yhat", "mase", "smape", "pinball")
_COLUMNS = (*_SCORES, "is_in_80", "is_in_95")

# Values of the last quarter without a score, of times that may be known by now; later ones never had a truth.
_DUE = """
    select series_id, forecasts.model_id, forecasts.load_id, ds, yhat, lo_80, hi_80, lo_95, hi_95,
        (select min(first.ds) from ml.forecasts as first
         where first.series_id = forecasts.series_id and first.model_id = forecasts.model_id
            and first.load_id = forecasts.load_id) as first_ds
    from ml.forecasts as forecasts
    join ml.models as models using (model_id)
    where models.name = %(name)s
        and ds <= (select max(hour) from api.metric_hourly where is_final)
        and ds > (select max(hour) from api.metric_hourly where is_final) - interval '92 days'
        and not exists (
            select from ml.forecast_scores as scores
            where scores.series_id = forecasts.series_id and scores.model_id = forecasts.model_id
                and scores.load_id = forecasts.load_id and scores.ds = forecasts.ds)
    order by series_id, model_id, load_id, ds
"""

_SETTLE = """
    update ml.churn_scores as scores
    set has_churned = not exists (
            select from api.user_daily as days
            where days.user_id = scores.user_id
                and days.day >= ops.day_of(scores.as_of, ops.timezone())
                and days.day < ops.day_of(scores.as_of, ops.timezone()) + %(horizon)s::integer),
        settled_at = clock_timestamp()
    where scores.has_churned is null
        and ops.day_of(scores.as_of, ops.timezone()) + %(horizon)s::integer <= %(newest)s::date + 1
"""


def score_forecasts(connection: psycopg.Connection) -> dict[str, int]:
    """Score every forecast value whose truth is final by now; returns how many by forecast.

    The connection must be outside of a transaction. What was scored stays, also if the truth is restated later.
    """
    scored = {}
    for name in settings.forecasts().forecasts:
        with inputs.snapshot(connection):
            rows = _scores(connection, name)
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtext('ml.forecast_scores'))")
            cursor.executemany(
                f"insert into ml.forecast_scores ({', '.join(_COLUMNS)}) "
                f"values ({', '.join(['%s'] * len(_COLUMNS))}) on conflict do nothing",
                rows,
            )
        scored[name] = len(rows)
    return scored


def _scores(connection: psycopg.Connection, name: str) -> list[tuple]:
    """Rows of ml.forecast_scores for what is due. Each model is judged by the parts that it forecast."""
    import pandas as pd

    found = connection.execute(_DUE, {"name": forecasts.model_name(name)})
    due = pd.DataFrame(found.fetchall(), columns=[column.name for column in found.description])
    rows = []
    for _, said in due.groupby("model_id"):
        wanted = series.read(connection, name, set(said["series_id"]))
        zone = inputs.timezone(connection)
        truth = wanted.frame.assign(ds=[forecasts.moment(ds, zone) for ds in wanted.frame["ds"]])
        rows += [row for one, some in said.groupby("series_id") for row in _judged(wanted, some, truth, one)]
    return rows


def _judged(wanted: series.Wanted, said: "pd.DataFrame", truth: "pd.DataFrame", name: str) -> list[tuple]:
    """Each value of one series beside its truth, scaled by the history before its forecast began."""
    from ml import scores
    from ml.forecast.series import season_of

    own = truth[truth["unique_id"] == name].sort_values("ds")
    known = dict(zip(own["ds"], own["y"], strict=True))
    rows = []
    for first, some in said.groupby("first_ds"):
        history = own.loc[own["ds"] < first, "y"].to_numpy()
        scale = scores.seasonal_scale(history, season_of(wanted.freq)) if len(history) > 1 else 0.0
        for one in some.itertuples():
            if (value := known.get(one.ds)) is not None:
                key = (one.series_id, one.model_id, one.load_id, one.ds)
                rows.append((*key, _steps(first, one.ds, wanted), value, one.yhat, *_score(one, value, scale)))
    return rows


def _steps(first: datetime, ds: datetime, wanted: series.Wanted) -> int:
    """How many steps ahead of what was known: days may have 23 or 25 hours."""
    length = timedelta(days=1) if wanted.asked.grain == "day" else timedelta(hours=1)
    return 1 + round((ds - first) / length)


def _score(said, value: float, scale: float) -> tuple:
    import numpy as np

    from ml import scores

    actual = np.array([value])
    limits = ((said.lo_95, 0.025), (said.lo_80, 0.1), (said.hi_80, 0.9), (said.hi_95, 0.975))
    pinball = float(np.mean([scores.pinball(actual, np.array([limit]), share) for limit, share in limits]))
    return (
        abs(value - said.yhat) / scale if scale > 0 else None,
        scores.smape(actual, np.array([said.yhat])),
        pinball,
        said.lo_80 <= value <= said.hi_80,
        said.lo_95 <= value <= said.hi_95,
    )


def settle_churn(connection: psycopg.Connection) -> int:
    """Write beside each score whether the person did stay away, once the horizon is over; returns how many."""
    with connection.transaction():
        newest = inputs.newest_final_day(connection)
        values = {"horizon": features.HORIZON_DAYS, "newest": newest}
        return connection.execute(_SETTLE, values).rowcount if newest else 0
