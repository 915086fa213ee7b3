"""The mail about an incident, read back as a reader's program would."""

from datetime import UTC, datetime

import pytest

from orchestration.alerts import notifications
from orchestration.settings import GateRule, Tenant, ThresholdRule

TENANT = Tenant(name="Demo", timezone="Europe/Berlin", currency="EUR")
METRIC = {"metric": "revenue", "description": "Revenue, less refunds", "unit": "money"}
RULE = ThresholdRule(
    kind="threshold", metric="revenue", above=1, description="Who & why?", recipients=["ops@example.com"]
)
INCIDENT = {
    "incident_id": 17,
    "rule": "revenue",
    "metric": "revenue",
    "segment": "all",
    "severity": "warning",
    "status": "open",
    "opened_hour": datetime(2026, 7, 1, 10, tzinfo=UTC),
    "resolved_hour": None,
    "value": 1234.5,
    "expected": 4938.0,
    "lo": 4000.0,
    "hi": 6000.0,
    "detail": "Revenue fell.",
}


def body(message, kind: str) -> str:
    return message.get_body([kind]).get_content()


def test_the_opening_says_what_where_since_when_and_what_was_expected():
    message = notifications.opening(INCIDENT, RULE, METRIC, TENANT)
    assert (
        message["Subject"] == "[warning] revenue at 1,234.50 EUR, 75 % below the expected 4,938.00 EUR"
    )  # 1234.50 is a quarter
    assert message["To"] == "ops@example.com"
    for text in (body(message, "plain"), body(message, "html")):
        assert "Revenue fell." in text
        assert "1,234.50 EUR" in text
        assert "4,938.00 EUR, from 4,000.00 EUR to 6,000.00 EUR" in text
        assert "2026-07-01 12:00 CEST" in text
    assert "Who & why?" in body(message, "plain")
    assert "Who &amp; why?" in body(message, "html")


def test_a_currency_segment_has_its_own_currency():
    message = notifications.opening(INCIDENT | {"segment": "currency=GBP"}, RULE, METRIC, TENANT)
    assert (
        message["Subject"] == "[warning] revenue of currency=GBP at 1,234.50 GBP, 75 % below the expected 4,938.00 GBP"
    )


@pytest.mark.parametrize(
    ("value", "lo", "hi", "expected"),
    [(0.062, None, 0.05, "6.2 %, above 5.0 %"), (0.01, 0.02, 0.05, "1.0 %, below 2.0 %")],
)
def test_a_threshold_names_the_limit_that_was_crossed(value, lo, hi, expected):
    incident = INCIDENT | {"metric": "error_rate", "value": value, "expected": None, "lo": lo, "hi": hi}
    message = notifications.opening(incident, RULE, METRIC | {"unit": "rate"}, TENANT)
    assert message["Subject"] == f"[warning] error_rate at {expected}"


def test_what_was_expected_to_be_nothing_has_no_share():
    incident = INCIDENT | {"value": 5.0, "expected": 0.0}
    assert (
        "revenue at 5.00 EUR, above the expected 0.00 EUR"
        in notifications.opening(incident, RULE, METRIC, TENANT)["Subject"]
    )


def test_the_resolution_says_until_when():
    incident = INCIDENT | {"status": "resolved", "resolved_hour": datetime(2026, 7, 1, 14, tzinfo=UTC)}
    message = notifications.resolution(incident, METRIC, TENANT, ["a@example.com", "b@example.com"])
    assert message["Subject"].startswith("[warning] Over: revenue at 1,234.50 EUR, 75 %")
    assert message["To"] == "a@example.com, b@example.com"
    assert "It is over since 2026-07-01 16:00 CEST." in body(message, "plain")


def test_a_gate_names_its_table():
    incident = INCIDENT | {"metric": "gate", "segment": "raw.events", "value": None, "detail": "3 rows lack a score."}
    rule = GateRule(kind="gate", recipients=["data@example.com"])
    message = notifications.opening(incident, rule, None, TENANT)
    assert message["Subject"] == "[warning] raw.events is held back by its gate"
    assert "3 rows lack a score." in body(message, "plain")


def test_nothing_from_the_data_is_markup_or_a_header():
    segment = "endpoint=</h2><script>alert(1)</script>\r\nBcc: evil@example.com"
    incident = INCIDENT | {"segment": segment, "detail": f"{segment} is slow."}
    message = notifications.opening(incident, RULE, METRIC, TENANT)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert "<script>" not in body(message, "html")
    assert "&lt;script&gt;" in body(message, "html")


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
    ],
)
def test_quantities_are_written_with_their_unit(value, unit, expected):
    assert notifications.quantity(value, unit, "EUR") == expected
