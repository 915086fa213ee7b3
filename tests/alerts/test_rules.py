"""What breaches a rule, and what a person is told about a rule that cannot be."""

from datetime import UTC, datetime

import pytest

from orchestration import settings
from orchestration.alerts.rules import breaches, check_metrics, covers
from orchestration.alerts.walk import Reading
from orchestration.errors import TidemarkError
from orchestration.settings import Alerts, AnomalyRule, ChangeRule, MetricRule, ThresholdRule

HOUR = datetime(2026, 3, 2, tzinfo=UTC)
BASE = {"metric": "orders", "recipients": ["ops@example.com"]}


@pytest.mark.parametrize(
    ("limits", "value", "expected"),
    [
        ({"above": 5}, 5, False),
        ({"above": 5}, 5.01, True),
        ({"below": 5}, 5, False),
        ({"below": 5}, 0, True),
        ({"below": 5, "above": 9}, 7, False),
        ({"below": 5, "above": 9}, 10, True),
    ],
)
def test_threshold(limits, value, expected):
    rule = ThresholdRule(kind="threshold", **limits, **BASE)
    assert breaches(rule, Reading(HOUR, value)) is expected


@pytest.mark.parametrize(
    ("value", "direction", "expected"),
    [
        (150, "both", True),  # 50 % of the expected 100 away
        (149, "both", False),
        (50, "both", True),
        (150, "down", False),
        (50, "down", True),
        (50, "up", False),
    ],
)
def test_anomaly(value, direction, expected):
    rule = AnomalyRule(kind="anomaly", min_effect=0.5, direction=direction, **BASE)
    assert breaches(rule, Reading(HOUR, value, expected=100, lo=90, hi=110)) is expected
    assert not breaches(rule, Reading(HOUR, value, expected=100, lo=0, hi=200))  # far away, and not unusual


def test_anything_is_infinitely_far_from_nothing_but_nothing():
    rule = AnomalyRule(kind="anomaly", min_effect=10, **BASE)
    assert breaches(rule, Reading(HOUR, 1, expected=0, lo=0, hi=0))
    assert not breaches(rule, Reading(HOUR, 0, expected=0, lo=0, hi=0))


@pytest.mark.parametrize(
    ("value", "expected", "breached"),
    [
        # 24 in six hours are expected: a deviation is the root of 24 * 5/4, which is 5.5; three are 16.4
        (7.5 / 6, 4, True),
        (7.7 / 6, 4, False),
        (0, 1.8, False),  # 10.8 in six hours: even none at all is within three deviations, 11.02
        (100, 1000, True),
        (401, 1000, False),  # no chance, and less than the 60 % that the rule asks for
    ],
)
def test_counts_over_some_hours_differ_by_more_than_chance(value, expected, breached):
    rule = ChangeRule(kind="change", grain="hour", over="PT6H", fall=0.6, **BASE)
    assert breaches(rule, Reading(HOUR, value, expected=expected)) is breached


def test_covers():
    def rule(segment: str) -> MetricRule:
        return MetricRule(segment=segment, **BASE)

    assert covers(rule("all"), "orders", "all")
    assert not covers(rule("all"), "orders", "currency=EUR")
    assert not covers(rule("all"), "revenue", "all")
    assert covers(rule("currency=*"), "orders", "currency=EUR")
    assert not covers(rule("currency=*"), "orders", "country=DE")
    assert covers(rule("currency=EUR"), "orders", "currency=EUR")
    assert not covers(rule("currency=EUR"), "orders", "currency=EURO")


def test_an_unknown_metric_is_said_with_file_rule_and_the_known_ones(home):
    config = Alerts(rules={"typo": ThresholdRule(kind="threshold", above=1, **BASE | {"metric": "ordres"})})
    with pytest.raises(TidemarkError, match=r"alerts\.yml:\d+ rules\.typo\.metric: .*'ordres'.* orders, revenue\.$"):
        check_metrics("typo", config.rules["typo"], {"revenue": {}, "orders": {}})


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        ("    above: 5\n", None, None),
        ("    above: much\n", 6, "number"),
        ("", 3, "needs `above`, `below` or both"),
        ("    above: 5\n    for: 0\n", 7, "greater than or equal to 1"),
        ("    above: 5\n    segment: endpoint\n", 7, "pattern"),
        ("    above: 5\n    abvoe: 6\n", 7, "not permitted"),
    ],
)
def test_a_wrong_rule_is_said_with_file_and_line(home, tmp_path, monkeypatch, change, line, message):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    text = "notify_within: P2D\nrules:\n  busy:\n    kind: threshold\n    metric: orders\n"
    (tmp_path / "alerts.yml").write_text(text + change + "    recipients: [ops@example.com]\n")
    if message is None:
        assert settings.alerts().rules["busy"].above == 5
        return
    with pytest.raises(TidemarkError, match=rf"alerts\.yml:{line} .*{message}"):
        settings.alerts()


@pytest.mark.parametrize("address", ["ops", "ops@example.com\\r\\nBcc: x@example.com", "a@b, c@d"])
def test_a_wrong_address_is_refused(home, tmp_path, monkeypatch, address):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    text = f'rules:\n  gate:\n    kind: gate\n    recipients: ["{address}"]\n'
    (tmp_path / "alerts.yml").write_text(text)
    with pytest.raises(TidemarkError, match=r"alerts\.yml:4 rules\.gate\.gate\.recipients\.0"):
        settings.alerts()


def test_the_shipped_rules_name_metrics_of_the_catalogue(home):
    from orchestration.transform.catalogue import metrics

    catalogue = {metric.name: metric for metric in metrics()}
    config = settings.alerts()
    for name, rule in config.rules.items():
        check_metrics(name, rule, {key: {"unit": metric.unit} for key, metric in catalogue.items()})
    assert {rule.kind for rule in config.rules.values()} >= {
        "threshold",
        "anomaly",
        "gate",
        "schema",
        "absence",
        "volume",
    }
    for rule in config.rules.values():
        if isinstance(rule, MetricRule) and rule.segment != "all":
            assert rule.segment.partition("=")[0] in catalogue[rule.metric].segments
