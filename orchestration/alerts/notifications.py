"""The words of alerts: an incident's sentence, its mail, and the same as data for channels. Nothing here sends."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from html import escape

from orchestration.alerts import links, pictures
from orchestration.settings import Rule, Tenant, settings, tenant

_COLOURS = {"critical": "#b3261e", "warning": "#b26a00", "info": "#1f5fbf"}
_OVER = "#2e7d32"
_CHART = "chart@tidemark"
LISTED = 20  # incidents that one message names; it counts the rest
_PREFIX = {
    "opened": "",
    "over": "",
    "reopened": "Again: ",
    "escalated": "Nobody answered: ",
    "reminded": "Still: ",
    "resolved": "Over: ",
    "several": "",
}


@dataclass(frozen=True)
class Notification:
    """What one message says: what happened (`event`) to which incidents, to whom. `held_back` of them had to wait."""

    event: str
    rows: list[dict]
    rules: list[Rule | None]
    held_back: int
    receiver: str
    now: datetime


def sentence(incident: dict, evidence: dict, steps: int, tenant: Tenant) -> str:
    """What happened to a metric, in one sentence. `incident` has the columns of `ops.incidents`."""
    since = _time(incident["opened_hour"], tenant)
    step = evidence["step"]
    lasting = f"in the {step} from {since}" if steps == 1 else f"for {steps} {step}s, from {since}"
    value = quantity(incident["value"], evidence["unit"], _currency(incident, tenant))
    was = f"averaged {value} an hour over {evidence['over']} hours" if evidence.get("over") else f"was {value}"
    return f"{_series(incident)} {was}, {_comparison(incident, evidence['unit'], tenant)}, {lasting}."


def mail(told: Notification) -> EmailMessage:
    """The mail to `told.receiver`. Everything in it that comes from data is escaped."""
    us = tenant()
    message = EmailMessage()
    severity = told.rows[0]["severity"]
    message["Subject"] = _line(f"[{severity}] {headline(told)}")
    message["To"] = told.receiver
    is_over = all(row["status"] == "resolved" for row in told.rows)
    colour = _OVER if is_over else _COLOURS[severity]
    if len(told.rows) == 1:
        row = told.rows[0]
        is_drawn = not is_over and row["evidence"].get("chart")
        picture = pictures.chart(row, us) if is_drawn else None
        _write(message, headline(told), _sentences(told), _facts(told, us), colour, picture)
    else:
        rows = [(f"[{row['severity']}]", _one(row, us)) for row in told.rows[:LISTED]]
        _write(message, headline(told), _summary(told), rows, colour)
    return message


def payload(told: Notification, thread: str, open_in_thread: int) -> dict:
    """The same as data: what a channel needs for words of its own. `thread` is one for all messages of an incident."""
    us = tenant()
    return {
        "type": f"incident.{told.event}",
        "event": told.event,
        "message": headline(told),
        "text": " ".join(_sentences(told) if len(told.rows) == 1 else _summary(told)),
        "severity": told.rows[0]["severity"],
        "thread": thread,
        "open_in_thread": open_in_thread,
        "incidents_total": len(told.rows),
        "held_back": told.held_back,
        "timestamp": told.now.isoformat(),
        "pipeline_url": settings().public_url,
        "incidents": [
            {
                "incident_id": row["incident_id"],
                "fingerprint": row["fingerprint"],
                "rule": row["rule"],
                "metric": row["metric"],
                "segment": row["segment"],
                "severity": row["severity"],
                "status": row["status"],
                "owner": row["owner"],
                "started_at": row["opened_hour"].isoformat(),
                "ended_at": row["resolved_hour"] and row["resolved_hour"].isoformat(),
                "value": row["value"],
                "expected": row["expected"],
                "lo": row["lo"],
                "hi": row["hi"],
                "headline": _one(row, us),
                "detail": row["detail"],
                "causes": _causes(row),
                "runbook": rule.runbook if rule else None,
                "answer_url": links.link(row["incident_id"], told.receiver, told.now),
            }
            for row, rule in list(zip(told.rows, told.rules, strict=True))[:LISTED]
        ],
    }


def headline(told: Notification) -> str:
    """What happened, in less than a sentence."""
    us = tenant()
    if len(told.rows) == 1:
        return _PREFIX[told.event] + _one(told.rows[0], us)
    names = sorted({row["rule"] for row in told.rows})
    which = f"of {names[0]}" if len(names) == 1 else f"of {len(names)} rules"
    return f"{_PREFIX[told.event]}{len(told.rows):,} incidents {which}"


def quantity(value: float, unit: str, currency: str) -> str:
    """A value as people read it: a rate in percent, money with its currency, times with their unit."""
    match unit:
        case "rate":
            return f"{value * 100:.1f} %"
        case "money":
            return f"{value:,.2f} {currency}"
        case "ms":
            return f"{value:,.0f} ms"
        case "seconds":
            return f"{value:,.0f} s"
        case "burn":
            return f"{value:,.1f} times the error budget"
        case "events a session":
            return f"{value:,.1f} events a session"
        case _:
            return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _one(row: dict, us: Tenant) -> str:
    """The headline of one incident."""
    if "unit" not in row["evidence"]:
        words = {"gate": "{} is held back by its gate", "schema": "Events have changed: {}"}
        return words[row["metric"]].format(row["segment"]) if row["metric"] in words else row["detail"].rstrip(".")
    unit = row["evidence"]["unit"]
    return f"{_series(row)} at {quantity(row['value'], unit, _currency(row, us))}, {_comparison(row, unit, us)}"


def _sentences(told: Notification) -> list[str]:
    row, rule, us = told.rows[0], told.rules[0], tenant()
    said = [row["detail"]]
    if row["status"] == "resolved":
        said.append(_ending(row, us))
        if told.event == "resolved":
            said.reverse()
    elif row["status"] == "acknowledged":
        said.append("Somebody takes care of it.")
    if rule and rule.description and told.event != "resolved":
        said.append(rule.description)
    return said


def _summary(told: Notification) -> list[str]:
    counts: dict[str, int] = {}
    for row in told.rows:
        counts[row["rule"]] = counts.get(row["rule"], 0) + 1
    largest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:LISTED]
    said = ["By rule: " + ", ".join(f"{name} {count:,}" for name, count in largest) + "."]
    if len(told.rows) > LISTED:
        said.append(f"The {LISTED} most severe are named here, {len(told.rows) - LISTED:,} are not.")
    if told.held_back:
        said.append(f"{told.held_back:,} of them were held back before: there had been enough messages in that hour.")
    said.append("./tidemark alerts list names them all.")
    return said


def _series(incident: dict) -> str:
    metric, segment = incident["metric"], incident["segment"]
    return metric if segment == "all" else f"{metric} of {segment}"


def _comparison(incident: dict, unit: str, us: Tenant) -> str:
    value, expected = incident["value"], incident["expected"]
    currency = _currency(incident, us)
    if expected is None:
        is_above = incident["hi"] is not None and value > incident["hi"]
        limit = incident["hi"] if is_above else incident["lo"]
        return f"{'above' if is_above else 'below'} {quantity(limit, unit, currency)}"
    side = "above" if value > expected else "below"
    share = f"{abs(value - expected) / abs(expected) * 100:,.0f} % " if expected else ""
    return f"{share}{side} the expected {quantity(expected, unit, currency)}"


def _ending(row: dict, us: Tenant) -> str:
    if row["metric"] == "gate":
        return "The table is no longer held back."
    if row["metric"] == "schema":
        return "The change is undone, or has stood for a week: it is taken as how things are."
    return f"It is over since {_time(row['resolved_hour'], us)}."


def _currency(incident: dict, us: Tenant) -> str:
    dimension, _, value = incident["segment"].partition("=")
    return value if dimension == "currency" else us.currency


def _time(moment: datetime, us: Tenant) -> str:
    return moment.astimezone(us.zone).strftime("%Y-%m-%d %H:%M %Z")


def _causes(row: dict) -> list[str]:
    """Likely causes: the segments that explain the change, and what else happened then."""
    evidence = row["evidence"]
    unit, us = evidence.get("unit", "count"), tenant()
    said = []
    for one in evidence.get("contributions", []):
        value, usual = (quantity(one[key], unit, us.currency) for key in ("value", "usual"))
        said.append(f"{one['segment']}: {value}, usually {usual}")
    return said + evidence.get("coincided", [])


def _facts(told: Notification, us: Tenant) -> list[tuple[str, str]]:
    row, rule = told.rows[0], told.rules[0]
    facts = [("Incident", f"{row['incident_id']}, rule {row['rule']}")]
    if row["evidence"].get("description"):
        facts.append(("Metric", f"{row['metric']}: {row['evidence']['description']}"))
    if "unit" in row["evidence"]:
        unit, currency = row["evidence"]["unit"], _currency(row, us)
        facts.append(("Value", quantity(row["value"], unit, currency)))
        if row["expected"] is not None:
            ends = [(word, row[end]) for word, end in (("from", "lo"), ("to", "hi")) if row[end] is not None]
            span = "".join(f" {word} {quantity(value, unit, currency)}" for word, value in ends)
            facts.append(("Expected", quantity(row["expected"], unit, currency) + ("," + span if span else "")))
    facts.append(("Since", _time(row["opened_hour"], us)))
    if row["resolved_hour"]:
        facts.append(("Until", _time(row["resolved_hour"], us)))
    facts += [("Cause?", cause) for cause in _causes(row)]
    if row["owner"]:
        facts.append(("Owner", row["owner"]))
    if rule and rule.runbook:
        facts.append(("Runbook", rule.runbook))
    if row["status"] != "resolved":
        facts.append(("Answer", links.link(row["incident_id"], told.receiver, told.now)))
    facts.append(("Pipeline", settings().public_url))
    return facts


def _write(
    message: EmailMessage,
    title: str,
    sentences: list[str],
    facts: list[tuple[str, str]],
    colour: str,
    picture: bytes | None = None,
) -> None:
    """The body, as text and as HTML with everything in it escaped. What comes from data begins no line of its own."""
    sentences, facts = [_line(one) for one in sentences], [(_line(name), _line(fact)) for name, fact in facts]
    width = max(len(name) for name, _ in facts) + 2
    message.set_content(
        "\n\n".join(sentences) + "\n\n" + "\n".join(f"{name:{width}}{fact}" for name, fact in facts) + "\n"
    )
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#666">{escape(name)}</td><td>{_linked(fact)}</td></tr>'
        for name, fact in facts
    )
    shown = f'<p><img src="cid:{_CHART}" alt="The course of the metric" width="640"></p>' if picture else ""
    message.add_alternative(
        f'<html><body style="font-family:sans-serif;color:#222"><div style="border-left:4px solid {colour};'
        f'padding-left:12px"><h2 style="margin:0">{escape(_line(title))}</h2>{paragraphs}{shown}<table>{rows}</table>'
        f"</div></body></html>",
        subtype="html",
    )
    if picture:
        html = message.get_body(["html"])
        html.add_related(picture, "image", "png", cid=f"<{_CHART}>", filename="chart.png", disposition="inline")


def _linked(fact: str) -> str:
    """A fact as HTML: an address of our own configuration is a link, anything else only text."""
    own = (settings().answers_url, settings().public_url)
    if fact.startswith(own):
        words = fact if len(fact) < 60 else "Acknowledge, snooze, resolve or comment"
        return f'<a href="{escape(fact)}">{escape(words)}</a>'
    return escape(fact)


def _line(text: str) -> str:
    """One line: what comes from data may hold line breaks, and a header must not."""
    return " ".join(text.split())
