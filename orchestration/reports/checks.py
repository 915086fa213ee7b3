"""What has to hold before a report is sent. Each check says in a sentence what does not, for the notice instead."""

from decimal import Decimal

from orchestration.reports import figures
from orchestration.reports.document import Document
from orchestration.reports.figures import Form
from orchestration.reports.snapshot import Snapshot


def of_snapshot(seen: Snapshot, form: Form, *, only_final: bool) -> list[str]:
    """Why figures of this snapshot cannot be stood for: gates that fail below them, or figures that disagree."""
    reasons = [_held(row, form) for row in seen.held]
    unfinished = [row["metric"] for row in seen.rows.get("summary") or [] if not row["is_final"]]
    if only_final and unfinished:
        named = ", ".join(map(figures.label, unfinished[:5]))
        reasons.append(f"{len(unfinished)} figures of {seen.period.name} may still change: {named}.")
    return reasons + _disagreements(seen, form)


def _held(row: dict, form: Form) -> str:
    """What is held back, since when, at which mark and why."""
    passed = (
        f"It last passed at load {row['passed_load_id']:,}." if row["passed_load_id"] else "It never passed before."
    )
    return f"Since {form.moment(row['since'])}, at load {row['load_id']:,}: {row['sentence'].rstrip('.')}. {passed}"


def _disagreements(seen: Snapshot, form: Form) -> list[str]:
    """The sums of days that are not the figure of their period, though nothing is about to change them."""
    days: dict[str, Decimal] = {}
    for row in seen.rows.get("daily") or []:
        if seen.period.first <= row["day"] <= seen.period.last and row["value"] is not None:
            days[row["metric"]] = days.get(row["metric"], Decimal(0)) + row["value"]
    return [
        f"{figures.label(row['metric'])} is {form.figure(row['value'], row['unit'])} in {seen.period.name}, and its "
        f"days add up to {form.figure(days[row['metric']], row['unit'])}."
        for row in seen.rows.get("summary") or []
        if row["adds_up"] == "sum" and row["metric"] in days and row["value"] != days[row["metric"]]
    ]


def of_document(document: Document) -> list[str]:
    """What is missing in what would be sent."""
    empty = [chart.name for chart in document.charts if not chart.plot.rows]
    reasons = [f"The chart {name} has no data." for name in empty]
    if not (document.charts or document.tables):
        reasons.append("It has neither a chart nor a table.")
    return reasons
