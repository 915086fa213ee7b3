"""The words of alerts: an incident's sentence, and the mail that opens and closes its thread. Nothing here sends."""

from datetime import datetime
from email.message import EmailMessage
from html import escape

from orchestration.settings import Rule, Tenant, settings

_COLOURS = {"critical": "#b3261e", "warning": "#b26a00", "info": "#1f5fbf"}
_OVER = "#2e7d32"


def sentence(incident: dict, unit: str, hours: int, tenant: Tenant) -> str:
    """What happened to a metric, in one sentence. `incident` has the columns of `ops.incidents`."""
    since = _time(incident["opened_hour"], tenant)
    lasting = f"in the hour from {since}" if hours == 1 else f"for {hours} hours, from {since}"
    value = quantity(incident["value"], unit, _currency(incident, tenant))
    return f"{_series(incident)} was {value}, {_comparison(incident, unit, tenant)}, {lasting}."


def opening(incident: dict, rule: Rule, metric: dict | None, tenant: Tenant) -> EmailMessage:
    """The mail about an incident that opened, and that is already over if the incident says so."""
    headline = _headline(incident, metric, tenant)
    message = EmailMessage()
    message["Subject"] = _line(f"[{incident['severity']}] {headline}")
    message["To"] = ", ".join(rule.recipients)
    sentences = [incident["detail"]]
    if incident["status"] == "resolved":
        sentences.append(_ending(incident, tenant))
    if rule.description:
        sentences.append(rule.description)
    _write(message, headline, sentences, incident, metric, tenant)
    return message


def resolution(incident: dict, metric: dict | None, tenant: Tenant, recipients: list[str]) -> EmailMessage:
    """The mail about an incident that is over, for those who were told that it opened."""
    headline = f"Over: {_headline(incident, metric, tenant)}"
    message = EmailMessage()
    message["Subject"] = _line(f"[{incident['severity']}] {headline}")
    message["To"] = ", ".join(recipients)
    _write(message, headline, [_ending(incident, tenant), incident["detail"]], incident, metric, tenant)
    return message


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
        case _:
            return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _headline(incident: dict, metric: dict | None, tenant: Tenant) -> str:
    if incident["metric"] == "gate":
        return f"{incident['segment']} is held back by its gate"
    if incident["metric"] == "schema":
        return f"Events have changed: {incident['segment']}"
    value = quantity(incident["value"], metric["unit"], _currency(incident, tenant))
    return f"{_series(incident)} at {value}, {_comparison(incident, metric['unit'], tenant)}"


def _series(incident: dict) -> str:
    metric, segment = incident["metric"], incident["segment"]
    return metric if segment == "all" else f"{metric} of {segment}"


def _comparison(incident: dict, unit: str, tenant: Tenant) -> str:
    value, expected = incident["value"], incident["expected"]
    currency = _currency(incident, tenant)
    if expected is None:
        is_above = incident["hi"] is not None and value > incident["hi"]
        limit = incident["hi"] if is_above else incident["lo"]
        return f"{'above' if is_above else 'below'} {quantity(limit, unit, currency)}"
    side = "above" if value > expected else "below"
    share = f"{abs(value - expected) / abs(expected) * 100:,.0f} % " if expected else ""
    return f"{share}{side} the expected {quantity(expected, unit, currency)}"


def _ending(incident: dict, tenant: Tenant) -> str:
    if incident["metric"] == "gate":
        return "The table is no longer held back."
    if incident["metric"] == "schema":
        return "The change is undone, or has stood for a week: it is taken as how things are."
    return f"It is over since {_time(incident['resolved_hour'], tenant)}."


def _currency(incident: dict, tenant: Tenant) -> str:
    dimension, _, value = incident["segment"].partition("=")
    return value if dimension == "currency" else tenant.currency


def _time(moment: datetime, tenant: Tenant) -> str:
    return moment.astimezone(tenant.zone).strftime("%Y-%m-%d %H:%M %Z")


def _facts(incident: dict, metric: dict | None, tenant: Tenant) -> list[tuple[str, str]]:
    facts = [("Incident", f"{incident['incident_id']}, rule {incident['rule']}")]
    if metric:
        facts.append(("Metric", f"{incident['metric']}: {metric['description']}"))
        unit, currency = metric["unit"], _currency(incident, tenant)
        facts.append(("Value", quantity(incident["value"], unit, currency)))
        if incident["expected"] is not None:
            lo, hi = (quantity(incident[end], unit, currency) for end in ("lo", "hi"))
            facts.append(("Expected", f"{quantity(incident['expected'], unit, currency)}, from {lo} to {hi}"))
    facts.append(("Since", _time(incident["opened_hour"], tenant)))
    if incident["resolved_hour"]:
        facts.append(("Until", _time(incident["resolved_hour"], tenant)))
    facts.append(("Pipeline", settings().public_url))
    return facts


def _write(
    message: EmailMessage, headline: str, sentences: list[str], incident: dict, metric: dict | None, tenant: Tenant
) -> None:
    """The body, as text and as HTML with everything in it escaped."""
    facts = _facts(incident, metric, tenant)
    width = max(len(name) for name, _ in facts) + 2
    message.set_content(
        "\n\n".join(sentences) + "\n\n" + "\n".join(f"{name:{width}}{fact}" for name, fact in facts) + "\n"
    )
    colour = _OVER if incident["status"] == "resolved" else _COLOURS[incident["severity"]]
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#666">{escape(name)}</td><td>{escape(fact)}</td></tr>'
        for name, fact in facts
    )
    message.add_alternative(
        f'<html><body style="font-family:sans-serif;color:#222"><div style="border-left:4px solid {colour};'
        f'padding-left:12px"><h2 style="margin:0">{escape(headline)}</h2>{paragraphs}<table>{rows}</table>'
        f"</div></body></html>",
        subtype="html",
    )


def _line(text: str) -> str:
    """One line: what comes from data may hold line breaks, and a header must not."""
    return " ".join(text.split())
