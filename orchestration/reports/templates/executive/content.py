"""What the executive summary says: findings, actions and tables, each sentence with the figures it rests on."""

from orchestration.reports import figures
from orchestration.reports.document import Cell, Document, Table, Tile, Tone
from orchestration.reports.snapshot import Row, Snapshot
from orchestration.reports.templates.executive import charts

SYSTEMS = {
    "shop": "Shop",
    "marketplace": "Marketplace",
    "engagement": "Engagement",
    "learning": "Learning",
    "rooms": "Rooms",
    "system": "System",
}
LEAD = "revenue"
TILES = ("revenue", "active_users", "lessons_completed", "error_rate")
LEVEL = 0.005  # a smaller change rounds to nothing
NEWS = 0.05  # a smaller change is not worth an executive's minute
FEW = 30  # below this many, one more or less is a large percentage
LISTED = 5


def document(snapshot: Snapshot) -> Document:
    """The whole report; what the warehouse does not hold yet is left out."""
    summary = {row["metric"]: row for row in snapshot.rows["summary"]}
    lead = summary.get(LEAD) or next(iter(summary.values()))
    movers = _movers(summary, lead)
    tables = (_summary(snapshot), _incidents(snapshot), _unusual(snapshot), _models(snapshot), _loads(snapshot))
    return Document(
        title="Executive summary",
        headline=charts.moved(lead, snapshot.currency),
        findings=_findings(snapshot, lead, movers),
        actions=_actions(snapshot, movers),
        tiles=[_tile(summary[metric], snapshot.currency) for metric in TILES if metric in summary],
        charts=charts.charts(snapshot, summary),
        charts_note=charts.note(snapshot),
        tables=[table for table in tables if table],
        notes=_notes(snapshot),
    )


def tone(row: Row) -> Tone:
    """Whether a change is for the better, by the direction that the catalogue calls good."""
    rate = row["change_rate"]
    if rate is None or abs(rate) < LEVEL:
        return "plain"
    return "better" if (rate > 0) == (row["good_direction"] == "up") else "worse"


def _movers(summary: dict[str, Row], lead: Row) -> dict[Tone, Row]:
    """The metric that improved most and the one that worsened most, where that is news."""

    def is_news(row: Row) -> bool:
        is_small = row["unit"] == "count" and max(row["value_7d"] or 0, row["previous_7d"] or 0) < FEW
        return row is not lead and row["change_rate"] is not None and abs(row["change_rate"]) >= NEWS and not is_small

    by_size = sorted(filter(is_news, summary.values()), key=lambda row: abs(row["change_rate"]))
    return {tone(row): row for row in by_size}


def _findings(snapshot: Snapshot, lead: Row, movers: dict[Tone, Row]) -> list[str]:
    when = f" in the seven days up to {figures.day(snapshot.period.last)}"
    found = [_compared(lead, snapshot.currency, when, " in the seven days before")]
    for kind, opening in (("worse", "Most for the worse"), ("better", "Most for the better")):
        if kind in movers:
            found.append(f"{opening}: {_lower(_compared(movers[kind], snapshot.currency))}")
    return found + _unusual_findings(snapshot) + _forecast_findings(snapshot) + _incident_findings(snapshot)


def _lower(sentence: str) -> str:
    """A sentence as it goes on within another."""
    return sentence[:1].lower() + sentence[1:]


def _compared(row: Row, currency: str, when: str = "", before: str = "") -> str:
    """'Revenue rose 12.3 % to EUR 48,213, from EUR 42,930.'; `when` and `before` name the two periods."""
    if row["previous_7d"] is None:
        return f"{charts.moved(row, currency)}{when}."
    return f"{charts.moved(row, currency)}{when}, from {charts.value(row, 'previous_7d', currency)}{before}."


def _unusual_findings(snapshot: Snapshot) -> list[str]:
    if snapshot.rows["anomalies"] is None:
        return []
    hours = _unusual_hours(snapshot)
    if not hours:
        return [f"0 hours were unusual in these {figures.plural(7, 'day')}."]
    worst, count = hours[0], len({row["hour"] for row in hours})
    return [
        f"{figures.plural(count, 'hour was', 'hours were')} unusual, most of all "
        f"{_lower(figures.label(worst['metric']))} on {figures.hour(worst['hour'], snapshot.zone)}: "
        f"{_measured(worst, 'value', snapshot)}, where {_usual(worst, snapshot)} was expected."
    ]


def _unusual_hours(snapshot: Snapshot) -> list[Row]:
    return [row for row in snapshot.rows["anomalies"] or [] if snapshot.period.first <= row["day"]]


def _forecast_findings(snapshot: Snapshot) -> list[str]:
    coming = (snapshot.rows["forecast"] or [])[:7]
    if not coming:
        return []
    best, least = (pick(coming, key=lambda row: row["yhat"]) for pick in (max, min))
    models = {row["model_id"]: row["metrics"] for row in snapshot.rows["models"] or []}
    held = models.get(best["model_id"], {}).get("coverage", {}).get("80")
    trust = f" Out of sample, that interval held {held * 100:.0f}{figures.NBSP}% of the days." if held else ""
    return [
        f"In the next {figures.plural(len(coming), 'day')}, revenue is forecast to be highest on "
        f"{_forecast(best, snapshot.currency)} and lowest on {_forecast(least, snapshot.currency)}.{trust}"
    ]


def _forecast(row: Row, currency: str) -> str:
    yhat, low, high = (figures.figure(row[key], "money", currency) for key in ("yhat", "lo_80", "hi_80"))
    return f"{figures.day(row['day'])} with {yhat} (80{figures.NBSP}% interval: {low} to {high})"


def _incident_findings(snapshot: Snapshot) -> list[str]:
    rows = snapshot.rows["incidents"]
    if not rows:
        return []
    open_count = sum(row["status"] != "resolved" for row in rows)
    told = {"open": open_count, "resolved": len(rows) - open_count}
    states = " and ".join(f"{count:,} {state}" for state, count in told.items() if count)
    return [f"{figures.plural(len(rows), 'incident')} in these {figures.plural(7, 'day')}: {states}."]


def _actions(snapshot: Snapshot, movers: dict[Tone, Row]) -> list[str]:
    """What a reader could do about it; nothing where nothing calls for it."""
    wanted = [
        f"Ask how incident {row['incident_id']} stands, open since {figures.hour(row['opened_hour'], snapshot.zone)}: "
        f"{row['detail']}"
        for row in snapshot.rows["incidents"]
        if row["status"] != "resolved"
    ][:LISTED]
    if worst := movers.get("worse"):
        wanted.append(f"Ask why {_lower(_compared(worst, snapshot.currency))}")
    if refused := snapshot.rows["quarantine"]:
        total, most = snapshot.rows["loads"][0]["quarantined"], refused[0]
        wanted.append(
            f"Have the {figures.plural(total, 'refused record')} mended and sent again; "
            f"the commonest reason is “{most['reason']}” ({most['records']:,})."
        )
    return wanted


def _tile(row: Row, currency: str) -> Tile:
    return Tile(
        label=_name(row),
        value=figures.figure(row["value_7d"], row["unit"], currency),
        change=figures.change(row["change_rate"]),
        tone=tone(row),
    )


def _name(row: Row) -> str:
    return figures.label(row["metric"]) + (" a day" if row["adds_up"] == "distinct" else "")


def _summary(snapshot: Snapshot) -> Table:
    rows = snapshot.rows["summary"]
    systems = [*SYSTEMS, *sorted({row["system"] for row in rows} - SYSTEMS.keys())]
    groups = [
        (SYSTEMS.get(system, system), [_summary_row(row, snapshot.currency) for row in rows if row["system"] == system])
        for system in systems
    ]
    note = "Rates, scores and latencies are means of the seven days."
    if not all(row["is_final"] for row in rows):
        note += " * Not final: a source may still send records of these days."
    return Table(
        name="summary",
        title="All metrics, seven days against the seven before",
        columns=["Metric", ">7 days", ">7 before", ">Change", "Reading"],
        groups=[(system, lines) for system, lines in groups if lines],
        note=note,
    )


def _summary_row(row: Row, currency: str) -> list[Cell]:
    kind = tone(row)
    return [
        Cell(_name(row) + ("" if row["is_final"] else "*")),
        Cell(figures.figure(row["value_7d"], row["unit"], currency)),
        Cell(figures.figure(row["previous_7d"], row["unit"], currency)),
        Cell(figures.change(row["change_rate"]), kind),
        Cell("" if kind == "plain" else kind, kind),
    ]


def _incidents(snapshot: Snapshot) -> Table | None:
    rows = [
        [
            Cell(figures.hour(row["opened_hour"], snapshot.zone)),
            Cell(row["severity"]),
            Cell(row["detail"]),
            Cell(_until(row, snapshot), "worse" if row["status"] != "resolved" else "plain"),
        ]
        for row in snapshot.rows["incidents"]
    ]
    columns = ["Opened", "Severity", "What happened", "Resolved"]
    return Table("incidents", "Incidents", columns, [("", rows)], _zone_note(snapshot)) if rows else None


def _until(row: Row, snapshot: Snapshot) -> str:
    if row["status"] != "resolved":
        return "open"
    return figures.hour(row["resolved_hour"], snapshot.zone) if row["resolved_hour"] else "resolved"


def _unusual(snapshot: Snapshot) -> Table | None:
    hours = _unusual_hours(snapshot)
    rows = [
        [
            Cell(figures.label(row["metric"])),
            Cell(figures.hour(row["hour"], snapshot.zone)),
            Cell(_measured(row, "value", snapshot)),
            Cell(_usual(row, snapshot)),
        ]
        for row in hours[:LISTED]
    ]
    title = "Unusual hours" if len(hours) <= LISTED else f"Unusual hours: the {LISTED} strongest of {len(hours):,}"
    columns = ["Metric", "Hour", ">Value", ">Expected"]
    return Table("unusual", title, columns, [("", rows)], _zone_note(snapshot)) if rows else None


def _zone_note(snapshot: Snapshot) -> str:
    return f"Times are those of {snapshot.zone.key}."


def _measured(row: Row, key: str, snapshot: Snapshot) -> str:
    return figures.figure(row[key], row["unit"], snapshot.currency)


def _usual(row: Row, snapshot: Snapshot) -> str:
    return f"{_measured(row, 'lo', snapshot)} to {_measured(row, 'hi', snapshot)}"


def _models(snapshot: Snapshot) -> Table | None:
    models = snapshot.rows["models"] or []
    tests = [
        f"{figures.label(row['name'])}: {row['metrics']['tested_on']}, against {row['metrics']['baseline_name']}."
        for row in models
    ]
    columns = ["Model, version", "Measure", ">Score", ">Baseline", "Reading"]
    note = " ".join(["Tested out of sample.", *tests])
    return (
        Table("models", "Models in service", columns, [("", list(map(_model_row, models)))], note) if models else None
    )


def _model_row(row: Row) -> list[Cell]:
    metrics = row["metrics"]
    is_better = (metrics["value"] < metrics["baseline"]) == (metrics["better"] == "lower")
    kind = "better" if is_better else "worse"
    return [
        Cell(f"{figures.label(row['name'])} {row['version']}"),
        Cell(f"{metrics['measure']}, {metrics['better']} is better"),
        Cell(f"{metrics['value']:.3g}"),
        Cell(f"{metrics['baseline']:.3g}"),
        Cell(kind, kind),
    ]


def _loads(snapshot: Snapshot) -> Table:
    (row,) = snapshot.rows["loads"]
    kinds = {"quarantined": "Refused"}
    counted = ("received", "loaded", "duplicate", "quarantined", "suppressed")
    rows = [[Cell(kinds.get(kind, kind.capitalize())), Cell(f"{row[kind]:,}")] for kind in counted]
    reasons = [[Cell(one["reason"]), Cell(f"{one['records']:,}")] for one in snapshot.rows["quarantine"]]
    groups = [(f"Brought by {figures.plural(row['loads'], 'load')}", rows), ("Why they were refused", reasons)]
    return Table(
        name="loads",
        title="What came in",
        columns=["Records", ">Number"],
        groups=[(heading, lines) for heading, lines in groups if lines],
        note="Every load that brought events of these seven days is counted whole.",
    )


def _notes(snapshot: Snapshot) -> list[str]:
    period = snapshot.period
    notes = [
        f"The newest complete day is {figures.day(period.last)} {period.last.year}; "
        f"days begin at midnight in {snapshot.zone.key}.",
    ]
    marks = {row["table_name"]: row for row in snapshot.marks}
    if mark := marks.get("views.metric_daily"):
        built = figures.moment(mark["built_at"], snapshot.zone)
        notes.append(f"Tide mark: complete up to load {mark['load_id']:,}, built {built}.")
    return notes
