"""What a rule of `config/alerts.yml` means: which hours breach it and which series it covers. Nothing here does I/O."""

from collections.abc import Collection

from orchestration.alerts.evaluation import Reading
from orchestration.errors import TidemarkError
from orchestration.settings import Alerts, AnomalyRule, MetricRule, ThresholdRule, settings


def breaches(rule: MetricRule, reading: Reading) -> bool:
    """Whether an hour breaches a threshold or anomaly rule."""
    if isinstance(rule, ThresholdRule):
        is_above = rule.above is not None and reading.value > rule.above
        is_below = rule.below is not None and reading.value < rule.below
        return is_above or is_below
    if isinstance(rule, AnomalyRule):
        counts = rule.direction == "both" or (reading.value > reading.expected) == (rule.direction == "up")
        return reading.is_anomaly and counts and effect(reading) >= rule.min_effect
    raise TypeError(f"{type(rule).__name__} is not a rule over hours")


def effect(reading: Reading) -> float:
    """The distance from the expected value, as a share of it: 0.5 is half as much again, or half. Infinite from 0."""
    distance = abs(reading.value - reading.expected)
    if distance == 0:
        return 0.0
    return distance / abs(reading.expected) if reading.expected else float("inf")


def fingerprint(rule_name: str, *cause: str) -> str:
    """What tells one cause from another: the rule with metric and segment, or with the table of a gate."""
    return "|".join((rule_name, *cause))


def covers(rule: MetricRule, metric: str, segment: str) -> bool:
    """Whether a rule watches this series."""
    if rule.segment.endswith("=*"):
        return rule.metric == metric and segment.startswith(rule.segment[:-1])
    return rule.metric == metric and rule.segment == segment


def check_metrics(config: Alerts, known: Collection[str]) -> None:
    """Raise TidemarkError for the first rule whose metric is not in the catalogue."""
    for name, rule in config.rules.items():
        if isinstance(rule, MetricRule) and rule.metric not in known:
            raise TidemarkError(
                f"{settings().config / 'alerts.yml'} rules.{name}.metric: there is no metric {rule.metric!r}: "
                f"use one of {', '.join(sorted(known))}."
            )
