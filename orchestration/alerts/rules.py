"""What a rule of `config/alerts.yml` means: which steps breach it and which series it covers. Nothing here does I/O."""

from collections.abc import Mapping
from datetime import timedelta
from math import sqrt

from orchestration.alerts.walk import Reading
from orchestration.errors import TidemarkError
from orchestration.settings import (
    AnomalyRule,
    ChangeRule,
    Direction,
    ForecastRule,
    MetricRule,
    ObjectiveRule,
    Rule,
    ThresholdRule,
    VolumeRule,
    place,
)

WEEKS = 4  # that a mean over hours is compared with
DEVIATIONS = 3.0  # by which a count has to differ, so that it is not chance


def breaches(rule: Rule, reading: Reading) -> bool:
    """Whether a step breaches a rule. One that could not be judged does not."""
    match rule:
        case ThresholdRule():
            is_above = rule.above is not None and reading.value > rule.above
            return is_above or (rule.below is not None and reading.value < rule.below)
        case ObjectiveRule():
            return reading.value > rule.burn
    if reading.expected is None:
        return False
    match rule:
        case ChangeRule():
            if max(reading.value, reading.expected) < rule.least or (rule.over and _is_chance(rule.over, reading)):
                return False
            rises = rule.rise is not None and _counts("up", reading) and effect(reading) >= rule.rise
            return rises or (rule.fall is not None and _counts("down", reading) and effect(reading) >= rule.fall)
        case AnomalyRule() | ForecastRule():
            is_outside = not reading.lo <= reading.value <= reading.hi
            return is_outside and _counts(rule.direction, reading) and effect(reading) >= rule.min_effect
        case VolumeRule():
            return reading.value < rule.below * reading.expected
    raise TypeError(f"{type(rule).__name__} is not a rule over steps")


def _is_chance(over: timedelta, reading: Reading) -> bool:
    """Whether counts that are expected so differ so by chance. Their variance is their size (Poisson), and a quarter of
    it more because the expectation is itself known from four weeks only."""
    hours = over / timedelta(hours=1)
    deviation = sqrt((1 + 1 / WEEKS) * max(reading.expected * hours, 1))
    return abs(reading.value - reading.expected) * hours <= DEVIATIONS * deviation


def _counts(direction: Direction, reading: Reading) -> bool:
    return direction == "both" or (reading.value > reading.expected) == (direction == "up")


def effect(reading: Reading) -> float:
    """The distance from the expected value, as a share of it: 0.5 is half as much again, or half. Infinite from 0."""
    distance = abs(reading.value - reading.expected)
    if distance == 0:
        return 0.0
    return distance / abs(reading.expected) if reading.expected else float("inf")


def limits(rule: Rule, reading: Reading) -> tuple[float | None, float | None]:
    """The least and the greatest value that would have been right, where there are such."""
    match rule:
        case ThresholdRule():
            return rule.below, rule.above
        case ObjectiveRule():
            return None, rule.burn
        case ChangeRule() if reading.expected is not None:
            least = reading.expected * (1 - rule.fall) if rule.fall else None
            return least, reading.expected * (1 + rule.rise) if rule.rise else None
        case VolumeRule() if reading.expected is not None:
            return rule.below * reading.expected, None
    return reading.lo, reading.hi


def fingerprint(rule_name: str, *cause: str) -> str:
    """What tells one cause from another: the rule with metric and segment, or with what is wrong."""
    return "|".join((rule_name, *cause))


def covers(rule: MetricRule, metric: str, segment: str) -> bool:
    """Whether a rule watches this series."""
    if rule.segment.endswith("=*"):
        return rule.metric == metric and segment.startswith(rule.segment[:-1])
    return rule.metric == metric and rule.segment == segment


def check_metrics(name: str, rule: Rule, known: Mapping[str, dict]) -> None:
    """Raise TidemarkError, with file and line, when a rule's metric is not in the catalogue, or no count it needs."""
    for key in ("metric", "of"):
        metric = getattr(rule, key, None)
        if metric is not None and metric not in known:
            raise TidemarkError(
                f"{place('alerts.yml', 'rules', name, key)} rules.{name}.{key}: there is no metric {metric!r}: "
                f"use one of {', '.join(sorted(known))}."
            )
    if isinstance(rule, ChangeRule) and rule.over and known[rule.metric]["unit"] != "count":
        raise TidemarkError(
            f"{place('alerts.yml', 'rules', name, 'over')} rules.{name}.over: {rule.metric} is no count: "
            "leave `over` out, or use kind: anomaly."
        )
