"""The charts of the executive summary: revenue with its forecast, and one small chart for each thing that matters."""

from functools import partial

from orchestration.reports import figures
from orchestration.reports.charts import Daily, Expected, Point, daily
from orchestration.reports.document import Chart
from orchestration.reports.snapshot import Row, Snapshot

WIDE = "revenue"
SMALL = (
    "orders",
    "transaction_volume",
    "active_users",
    "rooms_matched",
    "lessons_completed",
    "average_score",
    "error_rate",
    "latency_p95_ms",
)
UNITS = {"count": "a day", "money": "{currency} a day", "score": "of 100, mean of a day", "rate": "of a day's requests"}
LEVEL = 0.0005  # smaller changes are shown as 0.0 %


def value(row: Row, key: str, currency: str) -> str:
    """A value of the summary: 'EUR 48,213', or '640 a day' where people who come twice cannot be added up."""
    shown = figures.figure(row[key], row["unit"], currency)
    return f"{shown} a day" if row["adds_up"] == "distinct" else shown


def moved(row: Row, currency: str) -> str:
    """'Revenue rose 12.3 % to EUR 48,213': the finding in a row of the summary, as the title of its chart."""
    name, rate, now = figures.label(row["metric"]), row["change_rate"], value(row, "value_7d", currency)
    if rate is None:
        return f"{name} came to {now}"
    if abs(rate) < LEVEL:
        return f"{name} stayed at {now}"
    return f"{name} {'rose' if rate > 0 else 'fell'} {figures.change(abs(rate)).removeprefix('+')} to {now}"


def note(snapshot: Snapshot) -> str:
    """How to read all of them, said once."""
    parts = [f"Eight weeks by day; the shaded days are {figures.days(snapshot.period.first, snapshot.period.last)}"]
    if snapshot.rows["anomalies"]:
        parts.append("a ring marks a day with unusual hours")
    if snapshot.rows["incidents"]:
        parts.append("a triangle marks the day an incident opened")
    if any(not row["is_final"] for row in snapshot.rows["daily"]):
        parts.append("hollow dots are days that are not final")
    return "; ".join(parts) + "."


def charts(snapshot: Snapshot, summary: dict[str, Row]) -> list[Chart]:
    """A chart for each metric that has a day to show: never an empty one."""
    shown = [metric for metric in (WIDE, *SMALL) if metric in summary and _points(snapshot, metric)]
    return [_chart(snapshot, summary[metric]) for metric in shown]


def _chart(snapshot: Snapshot, row: Row) -> Chart:
    metric, is_wide = row["metric"], row["metric"] == WIDE
    forecast = _forecast(snapshot) if is_wide else ()
    points = _points(snapshot, metric)
    series = Daily(
        points=points,
        unit=row["unit"],
        currency=snapshot.currency,
        first=snapshot.period.first,
        last=snapshot.period.last,
        forecast=forecast,
        unusual=_days(snapshot, "anomalies", metric),
        incidents=_days(snapshot, "incidents", metric),
    )
    last = next(point for point in reversed(points) if point.is_final and point.value is not None)
    newest = figures.figure(last.value, row["unit"], snapshot.currency)
    return Chart(
        name=metric,
        title=moved(row, snapshot.currency),
        subtitle=_subtitle(row, snapshot.currency, forecast),
        alt=f"{figures.label(metric)} by day up to {figures.day(last.day)}, a line that ends at {newest}.",
        draw=partial(daily, series, is_wide=is_wide),
        is_wide=is_wide,
    )


def _subtitle(row: Row, currency: str, forecast: tuple[Expected, ...]) -> str:
    unit = UNITS.get(row["unit"], "of a day").format(currency=currency)
    return f"{unit}; dashed: forecast with its 80 % and 95 % intervals" if forecast else unit


def _points(snapshot: Snapshot, metric: str) -> list[Point]:
    points = [
        Point(row["day"], None if row["value"] is None else float(row["value"]), row["is_final"])
        for row in snapshot.rows["daily"]
        if row["metric"] == metric
    ]
    return points if any(point.is_final and point.value is not None for point in points) else []


def _forecast(snapshot: Snapshot) -> tuple[Expected, ...]:
    return tuple(
        Expected(**{key: row[key] for key in Expected.__dataclass_fields__}) for row in snapshot.rows["forecast"] or []
    )


def _days(snapshot: Snapshot, query: str, metric: str) -> frozenset:
    rows = snapshot.rows[query] or []
    return frozenset(row["day"] for row in rows if row["metric"] == metric)
