"""The series of each forecast of config/forecasts.yml, with their hierarchy and what is known ahead. Nothing learns."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.predict.inputs import SQL, timezone
from orchestration.settings import Forecast

if TYPE_CHECKING:
    import pandas as pd

REST = "rest"  # the parts that are too small or too new for a forecast of their own
LEAST_STEPS = 56  # of a part that gets one
FREQ = {"day": "D", "hour": "h"}


@dataclass(frozen=True)
class Wanted:
    """One forecast's history: unique_id, ds (a day without zone, or an hour of the tenant's zone) and y.

    `hierarchy` names the parts of each sum; `known` is what `ml.forecast` takes as announced events.
    """

    name: str
    asked: Forecast
    frame: "pd.DataFrame"
    hierarchy: dict[str, list[str]]
    known: "pd.DataFrame | None"
    country: str | None
    levels: tuple[int, ...]

    @property
    def freq(self) -> str:
        return FREQ[self.asked.grain]


def read(connection: psycopg.Connection, name: str, known_to: Collection[str] | None = None) -> Wanted:
    """A forecast's series from what is published, up to the newest final step.

    Its parts are the largest ones now, or those among the series `known_to` a model. Raises TidemarkError for a name
    that config/forecasts.yml does not have.
    """
    config = settings.forecasts()
    if name not in config.forecasts:
        raise TidemarkError(f"There is no forecast {name!r} in config/forecasts.yml: add it there.")
    asked = config.forecasts[name]
    own = None if known_to is None else {one.partition("|")[2] for one in known_to}
    read_kind = _products if asked.of == "products" else _metric
    frame, hierarchy = read_kind(connection, name, asked, own)
    known = _known(name, asked, frame)
    return Wanted(name, asked, frame, hierarchy, known, config.country, tuple(config.levels))


def _metric(
    connection: psycopg.Connection, name: str, asked: Forecast, own: Collection[str] | None
) -> "tuple[pd.DataFrame, dict]":
    """A metric and, where asked for, its parts; they are a hierarchy where they add up to it."""
    step, kind = ("hour", "timestamptz") if asked.grain == "hour" else ("day", "timestamp")
    grain = {"hour": "hourly", "day": "daily"}[asked.grain]
    query = (SQL / "forecast_parts.sql").read_text().format(step=step, type=kind, grain=grain)
    query = query.replace("%(history)s * interval '1 day'", "%(history)s::integer")  # a date less days is a date
    values = {"metric": asked.metric or name, "by": asked.by, "history": asked.history}
    rows = _frame(connection, query, values, ["part", "step", "y"])
    rows["ds"] = _times(rows["step"], asked, timezone(connection))
    whole = rows[rows["part"] == ""]
    parts = _with_rest(rows[rows["part"] != ""], asked.most, own)
    table = parts.pivot_table(index="ds", columns="part", values="y", aggfunc="sum").reindex(whole["ds"]).fillna(0.0)
    adds_up = len(table.columns) > 0 and bool(
        (abs(table.sum(axis=1).to_numpy() - whole["y"].to_numpy()) <= 1e-6 * whole["y"].abs().max()).all()
    )
    told = {part: one for part, one in parts.groupby("part") if adds_up or part != REST}
    frame = _joined({name: whole, **{f"{name}|{part}": one for part, one in told.items()}})
    return frame, {name: [f"{name}|{part}" for part in told]} if adds_up else {}


def _products(
    connection: psycopg.Connection, name: str, asked: Forecast, own: Collection[str] | None
) -> "tuple[pd.DataFrame, dict]":
    """Units of each product, each category and the shop; small and new products are the rest of their category."""
    query = (SQL / "product_demand.sql").read_text()
    rows = _frame(connection, query, {"history": asked.history}, ["part", "category", "step", "y"])
    rows["ds"] = _times(rows["step"], asked, "UTC")
    rows["part"] = "product=" + rows["part"]
    is_own = rows["part"].isin(_largest(rows, asked.most) if own is None else own)
    rows["part"] = rows["part"].where(is_own, f"{REST}=" + rows["category"])
    by_part = rows.groupby(["category", "part", "ds"], as_index=False)["y"].sum()
    hierarchy = {name: []} if len(rows) else {}
    series = {name: rows.groupby("ds", as_index=False)["y"].sum()} if len(rows) else {}
    for kind, some in by_part.groupby("category"):
        total = f"{name}|category={kind}"
        series[total] = some.groupby("ds", as_index=False)["y"].sum()
        hierarchy[name].append(total)
        hierarchy[total] = []
        for part, one in some.groupby("part"):
            series[f"{name}|{part}"] = one
            hierarchy[total].append(f"{name}|{part}")
    return _joined(series), hierarchy


def _with_rest(rows: "pd.DataFrame", most: int, own: Collection[str] | None) -> "pd.DataFrame":
    """The rows of the parts that are forecast one by one, and of all others together, as the part `rest`."""
    is_own = rows["part"].isin(_largest(rows, most) if own is None else own)
    named = rows.assign(part=rows["part"].where(is_own, REST))
    return named.groupby(["part", "ds"], as_index=False)["y"].sum()


def _largest(rows: "pd.DataFrame", most: int) -> list[str]:
    """The `most` largest parts that have enough history."""
    sizes = rows.groupby("part")["y"].agg(["sum", "size"])
    able = sizes[(sizes["size"] >= LEAST_STEPS) & (sizes["sum"] > 0)]
    return list(able.sort_values("sum", ascending=False, kind="stable").index[:most])


def _joined(series: "dict[str, pd.DataFrame]") -> "pd.DataFrame":
    """One long frame. A sum that begins before its parts is filled up with zeros of theirs by the forecast's grid."""
    import pandas as pd

    frames = [one.assign(unique_id=name)[["unique_id", "ds", "y"]] for name, one in series.items() if len(one)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["unique_id", "ds", "y"])


def _frame(connection: psycopg.Connection, query: str, parameters: dict, columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(connection.execute(query, parameters).fetchall(), columns=columns)
    return frame.assign(y=frame["y"].astype(float))


def _times(seconds: "pd.Series", asked: Forecast, zone: str) -> "pd.Series":
    import pandas as pd

    moments = pd.to_datetime(seconds.astype("int64"), unit="s")
    return moments.dt.tz_localize("UTC").dt.tz_convert(zone) if asked.grain == "hour" else moments


def _known(name: str, asked: Forecast, frame: "pd.DataFrame") -> "pd.DataFrame | None":
    """The announced events of this forecast: a row for each of their days or hours, a column for each event."""
    import pandas as pd

    events = {key: event for key, event in settings.forecasts().events.items() if not event.of or name in event.of}
    if not events or frame.empty:
        return None
    zone = getattr(frame["ds"].dtype, "tz", None)
    columns = {}
    for key, event in events.items():
        spans = [
            pd.date_range(first, last + timedelta(days=1), freq=FREQ[asked.grain], inclusive="left", tz=zone)
            for first, last in event.days
        ]
        columns[key] = pd.Series(event.size, index=spans[0].append(spans[1:]).unique())
    return pd.DataFrame(columns).fillna(0.0).rename_axis("ds").reset_index()
