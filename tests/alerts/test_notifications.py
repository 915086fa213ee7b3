"""The words about an incident, read back as a reader's program would."""

from datetime import UTC, datetime

import pytest

from orchestration.alerts import links, notifications
from orchestration.settings import GateRule, ThresholdRule

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
RULE = ThresholdRule(
    kind="threshold",
    metric="revenue",
    above=1,
    description="Who & why?",
    runbook="https://wiki.example.com/r",
    recipients=["ops@example.com"],
)
INCIDENT = {
    "incident_id": 17,
    "rule": "revenue",
    "fingerprint": "revenue|revenue|all",
    "metric": "revenue",
    "segment": "all",
    "severity": "warning",
    "status": "open",
    "owner": "shop team",
    "opened_hour": datetime(2026, 7, 1, 10, tzinfo=UTC),
    "resolved_hour": None,
    "value": 1234.5,
    "expected": 4938.0,
    "lo": 4000.0,
    "hi": 6000.0,
    "detail": "Revenue fell.",
    "evidence": {
        "unit": "money",
        "description": "Revenue, less refunds",
        "step": "hour",
        "contributions": [{"segment": "country=DE", "value": 0.0, "usual": 3000.0, "share": 0.8}],
        "coincided": ["price of p1 changed from 5 to 9 at 2026-07-01 09:30 UTC"],
    },
}


def told(event: str = "opened", rule=RULE, held: int = 0, **changes) -> notifications.Notification:
    return several([INCIDENT | changes], event, rule, held)


def several(rows: list[dict], event: str = "opened", rule=RULE, held: int = 0) -> notifications.Notification:
    return notifications.Notification(event, rows, [rule] * len(rows), held, "ops@example.com", NOW)


def body(message, kind: str) -> str:
    return message.get_body([kind]).get_content()


@pytest.fixture(autouse=True)
def _home(home):
    """The shipped tenant lives in Berlin."""


def test_the_opening_says_what_where_since_when_what_was_expected_and_why_perhaps():
    message = notifications.mail(told())
    assert (
        message["Subject"] == "[warning] revenue at 1,234.50 EUR, 75 % below the expected 4,938.00 EUR"
    )  # 1234.50 is a quarter
    assert message["To"] == "ops@example.com"
    for text in (body(message, "plain"), body(message, "html")):
        assert "Revenue fell." in text
        assert "1,234.50 EUR" in text
        assert "4,938.00 EUR, from 4,000.00 EUR to 6,000.00 EUR" in text
        assert "2026-07-01 12:00 CEST" in text
        assert "country=DE: 0.00 EUR, usually 3,000.00 EUR" in text
        assert "price of p1 changed from 5 to 9" in text
        assert "https://wiki.example.com/r" in text
        assert "shop team" in text
    assert "Who & why?" in body(message, "plain")
    assert "Who &amp; why?" in body(message, "html")


def test_the_mail_holds_a_link_for_its_reader_and_no_other_incident():
    text = body(notifications.mail(told()), "plain")
    token = text.split("/incidents/")[1].split()[0]
    assert links.unseal(token, NOW) == links.Grant(17, "ops@example.com", NOW + links.VALID)


def test_a_currency_segment_has_its_own_currency():
    message = notifications.mail(told(segment="currency=GBP"))
    assert (
        message["Subject"] == "[warning] revenue of currency=GBP at 1,234.50 GBP, 75 % below the expected 4,938.00 GBP"
    )


@pytest.mark.parametrize(
    ("value", "lo", "hi", "expected"),
    [(0.062, None, 0.05, "6.2 %, above 5.0 %"), (0.01, 0.02, 0.05, "1.0 %, below 2.0 %")],
)
def test_a_threshold_names_the_limit_that_was_crossed(value, lo, hi, expected):
    evidence = {"unit": "rate", "step": "hour"}
    message = notifications.mail(told(metric="error_rate", value=value, expected=None, lo=lo, hi=hi, evidence=evidence))
    assert message["Subject"] == f"[warning] error_rate at {expected}"


def test_what_was_expected_to_be_nothing_has_no_share():
    message = notifications.mail(told(value=5.0, expected=0.0))
    assert "revenue at 5.00 EUR, above the expected 0.00 EUR" in message["Subject"]


def test_the_resolution_says_until_when():
    message = notifications.mail(
        told("resolved", status="resolved", resolved_hour=datetime(2026, 7, 1, 14, tzinfo=UTC))
    )
    assert message["Subject"].startswith("[warning] Over: revenue at 1,234.50 EUR, 75 %")
    assert "It is over since 2026-07-01 16:00 CEST." in body(message, "plain")
    assert "/incidents/" not in body(message, "plain")


def test_a_gate_names_its_table():
    rule = GateRule(kind="gate", recipients=["data@example.com"])
    gate = {"metric": "gate", "segment": "raw.events", "value": None, "detail": "3 rows lack a score.", "evidence": {}}
    message = notifications.mail(told(rule=rule, **gate))
    assert message["Subject"] == "[warning] raw.events is held back by its gate"
    assert "3 rows lack a score." in body(message, "plain")


def test_many_are_named_up_to_a_number_and_counted():
    rows = [INCIDENT | {"incident_id": number, "segment": f"endpoint=/{number}"} for number in range(1000)]
    message = notifications.mail(several(rows, held=300))
    assert message["Subject"] == "[warning] 1,000 incidents of revenue"
    text = body(message, "plain")
    assert text.count("endpoint=/") == notifications.LISTED
    assert "980 are not" in text
    assert "300 of them were held back" in text
    assert len(notifications.payload(several(rows), "t", 1000)["incidents"]) == notifications.LISTED


def test_nothing_from_the_data_is_markup_or_a_header():
    segment = "endpoint=</h2><script>alert(1)</script>\r\nBcc: evil@example.com"
    evidence = INCIDENT["evidence"] | {"coincided": [segment]}
    for rows in (1, 2):
        incident = INCIDENT | {"segment": segment, "detail": f"{segment} is slow.", "evidence": evidence}
        message = notifications.mail(several([incident] * rows))
        assert message["Bcc"] is None
        assert "\n" not in message["Subject"]
        assert "<script>" not in body(message, "html")
        assert "&lt;script&gt;" in body(message, "html")


def test_nothing_from_the_data_begins_a_line_of_its_own():
    """Else a name could write a fact, or a link that looks like ours."""
    forged = "/buy\nAnswer    https://evil.example.com"
    text = body(notifications.mail(told(segment=f"endpoint={forged}", detail=f"{forged} is slow.")), "plain")
    assert [line for line in text.splitlines() if "evil" in line] == ["/buy Answer https://evil.example.com is slow."]


def test_a_mail_about_what_goes_on_has_the_picture_of_its_course():
    chart = [{"at": f"2026-07-01T{hour:02}:00:00+00:00", "value": 5000.0 - 300 * hour} for hour in range(12)]
    drawn = {"segment": "endpoint=$\\frac$", "evidence": INCIDENT["evidence"] | {"chart": chart}}
    message = notifications.mail(told(**drawn))
    [picture] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content().startswith(b"\x89PNG")
    assert len(picture.get_content()) < 40_000
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in body(message, "html")
    over = notifications.mail(
        told("resolved", status="resolved", resolved_hour=datetime(2026, 7, 1, 14, tzinfo=UTC), **drawn)
    )
    assert "image/png" not in {part.get_content_type() for part in over.walk()}


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.1234, "rate", "12.3 %"),
        (1234567.891, "money", "1,234,567.89 EUR"),
        (1499.6, "ms", "1,500 ms"),
        (3600, "seconds", "3,600 s"),
        (12.0, "count", "12"),
        (12.34, "count", "12.3"),
        (84.25, "score", "84.2"),
        (14.4, "burn", "14.4 times the error budget"),
    ],
)
def test_quantities_are_written_with_their_unit(value, unit, expected):
    assert notifications.quantity(value, unit, "EUR") == expected
