"""What experiments say: effects with intervals, bounds that allow a look every day, and a decision in a sentence.

Tests of means, ratios and sample ratios are tea-tasting's, from sums. How often people may look is decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics.mean import MeanResult

ALPHA = 0.05  # of all comparisons of an experiment together
POWER = 0.8
LEAST_GAIN = 0.01  # of the planned information between two looks: more looks than a hundred tell nothing
BROKEN_SPLIT, DOUBTFUL_SPLIT = 0.001, 0.01  # p-values of the sample ratio
LEAST_USERS = 100  # of each variant, before a mean is taken as normal
DAILY_LOOKS = 1.03  # times the people that one look at the end needs
_NODES = 400
_WIDEST = 6.0  # standard deviations: what lies beyond weighs nothing
_NEVER = 8.0  # a bound beyond which no statistic lies

Decision = Literal["ship", "stop", "keep running", "cannot be told"]

# What is compared: the column of a mean, or the two columns of a ratio, and the column known before the exposure.
MEASURES = {
    "conversion_rate": ("converted", None, None),
    "value_per_user": ("value", None, "value_before"),
    "value_per_conversion": ("value", "conversions", None),
}


@dataclass(frozen=True)
class Plan:
    """What was decided before the first look. `users` is the number of all variants together at the end."""

    users: int | None
    least_effect: float  # relative to control: what would be worth shipping
    weights: Mapping[str, float]  # the intended split; the first variant is the control
    comparisons: int = 1  # that share ALPHA

    @property
    def control(self) -> str:
        return next(iter(self.weights))

    @property
    def alpha(self) -> float:
        return ALPHA / self.comparisons


@dataclass(frozen=True)
class Result:
    """One variant against the control, at the look that decided or at the newest one.

    The effect is a difference of means; `lo` and `hi` hold at all looks together. What cannot be computed is None: all
    of a test before there are enough people, a bound without a plan, a relative effect where the control has no mean.
    """

    variant: str
    day: date
    looks: int
    users: int  # of the variant and the control, whose window is over
    information_rate: float | None  # the share of the plan
    control_mean: float | None = None
    variant_mean: float | None = None
    effect: float | None = None
    lo: float | None = None
    hi: float | None = None
    relative_effect: float | None = None
    statistic: float | None = None
    bound: float | None = None
    p_value: float | None = None  # of this look alone
    sample_ratio_p_value: float = 1.0
    decision: Decision = "keep running"
    sentence: str = ""


def bounds(information: Sequence[float], alpha: float = ALPHA) -> np.ndarray:
    """How large |z| has to be at each look, two-sided, for false alarms of `alpha` over all looks.

    `information` are the growing shares of the plan at each look, up to 1. The error is spent as Lan and DeMets (1983)
    let O'Brien and Fleming spend it: 4 − 4 Φ(z(1 − alpha / 4) / √t) up to share t. The chance of a first crossing is
    integrated from look to look (Armitage, McPherson and Rowe 1969). Raises ValueError when the shares do not grow.
    """
    shares = np.asarray(information, dtype=float)
    if len(shares) == 0 or shares[0] <= 0 or shares[-1] > 1 + 1e-9 or (np.diff(shares) <= 0).any():
        raise ValueError("The shares of information have to grow from look to look, above 0 and up to 1.")
    spent = 4 * stats.norm.sf(stats.norm.isf(alpha / 4) / np.sqrt(shares))
    found = np.full(len(shares), _NEVER)
    unit, weight = np.polynomial.legendre.leggauss(_NODES)
    points, mass, before, used = np.zeros(1), np.ones(1), 0.0, 0.0
    for look, share in enumerate(shares):
        step, allowed = sqrt(share - before), spent[look] - used
        if allowed > 1e-9:
            found[look] = _crossing(points, mass, step, sqrt(share), allowed)
            used = spent[look]
        edge = min(found[look], _WIDEST) * sqrt(share)
        following = edge * unit
        density = stats.norm.pdf((following[:, None] - points[None, :]) / step) / step @ mass
        points, mass, before = following, density * edge * weight, share
    return found


def _crossing(points: np.ndarray, mass: np.ndarray, step: float, scale: float, allowed: float) -> float:
    """The bound that is crossed now, for the first time, with the chance `allowed`."""
    from scipy.optimize import brentq

    def excess(bound: float) -> float:
        edge = bound * scale
        beyond = stats.norm.sf((edge - points) / step) + stats.norm.sf((edge + points) / step)
        return float(beyond @ mass) - allowed

    return float(brentq(excess, 0.0, _NEVER)) if excess(_NEVER) < 0 else _NEVER


def compare(measure: str, control: "Aggregates", variant: "Aggregates") -> "MeanResult":
    """tea-tasting's test of one of MEASURES: the control's mean, the variant's, effect, interval, p-value, statistic.

    Means and ratios by the delta method with unequal variances; with a column known before the exposure, the variance
    that it explains is taken out (CUPED; Deng et al. 2013) where it varies.
    """
    from tea_tasting import RatioOfMeans

    numerator, denominator, covariate = MEASURES[measure]
    is_known = covariate and (control.var(covariate) > 0 or variant.var(covariate) > 0)
    test = RatioOfMeans(numerator, denominator, covariate if is_known else None, use_t=False, equal_var=False)
    with np.errstate(invalid="ignore", divide="ignore"):  # where nothing varied, nothing is tested: nan
        return test.analyze_aggregates(control, variant)


def aggregates(sums: Mapping[str, float]) -> "Aggregates":
    """Counts, means, variances and covariances from sums: users, `x` and `x_square` of each column, `x_y` of pairs."""
    from tea_tasting.aggr import Aggregates

    count = float(sums["users"])
    columns = ("converted", "conversions", "value", "value_before")
    mean = {name: float(sums[name]) / count for name in columns}

    def moment(name: str, left: str, right: str) -> float:
        return (float(sums[name]) - count * mean[left] * mean[right]) / (count - 1)

    # what of two columns in step is left by rounding must not come out below zero
    variance = {name: max(moment(f"{name}_square", name, name), 0.0) * (1 + 1e-9) for name in columns}
    pairs = {
        ("value", "value_before"): moment("value_value_before", "value", "value_before"),
        ("conversions", "value"): moment("conversions_value", "conversions", "value"),
    }
    return Aggregates(int(count), mean, variance, pairs)


def sample_ratio(users: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """The p-value of as uneven a split as this one, by chance, where `weights` were intended (χ²).

    1 where nobody was seen.
    """
    seen = np.array([users.get(variant, 0) for variant in weights], dtype=float)
    intended = np.array(list(weights.values())) / sum(weights.values())
    return float(stats.chisquare(seen, seen.sum() * intended).pvalue) if seen.sum() else 1.0


def users_needed(mean: float, variance: float, least_effect: float, alpha: float = ALPHA) -> int:
    """How many people in two equal variants show a relative effect of `least_effect` with POWER, looking every day.

    4 σ² (z(1 − α/2) + z(power))² / δ², of the usual test of two means, and three per cent more than for one look at the
    end. `mean` and `variance` are those of a person. Raises ValueError for a mean of zero.
    """
    if mean == 0:
        raise ValueError("An effect relative to a mean of zero is no effect: give an outcome that happens.")
    spread = stats.norm.isf(alpha / 2) + stats.norm.ppf(POWER)
    return ceil(DAILY_LOOKS * max(4 * variance * (spread / (least_effect * mean)) ** 2, 2 * LEAST_USERS))


def analyse(days: pd.DataFrame, measure: str, plan: Plan) -> list[Result]:
    """Every variant of one experiment, goal and window against the control, by what was known at the end of each day.

    `days` has a row a day and variant: day, variant, exposed (people who saw it first that day), users (whose window
    was over that day), and the sums over these that `aggregates` names. Variants that the plan does not name are left
    out. A look is taken once each variant has LEAST_USERS, whenever the information grew by LEAST_GAIN; the first that
    crosses its bound decides, whatever comes later. Without a planned number of people nothing is decided.
    """
    known = days[days["variant"].isin(list(plan.weights))]
    if known.empty:
        return []
    summed = known.set_index(["variant", "day"]).astype(float).groupby(level=[0, 1]).sum()
    dates = sorted(known["day"].unique())
    sums = {
        variant: summed[summed.index.get_level_values("variant") == variant]
        .droplevel("variant")
        .reindex(dates, fill_value=0.0)
        .cumsum()
        for variant in plan.weights
    }
    return [_sequence(measure, plan, variant, sums) for variant in plan.weights if variant != plan.control]


def _sequence(measure: str, plan: Plan, variant: str, sums: dict[str, pd.DataFrame]) -> Result:
    """Look after look up to the one that decides, or the newest."""
    seen = sums[plan.control]["users"].to_numpy(), sums[variant]["users"].to_numpy()
    shares = _looks(*seen, _full_information(plan, variant))
    if not shares:
        return _judge(measure, plan, variant, sums, len(seen[0]) - 1, None, None, 0)
    limits = bounds(list(shares.values()), plan.alpha)
    for look, (place, share) in enumerate(shares.items()):
        result = _judge(measure, plan, variant, sums, place, share, limits[look], look + 1)
        if result.decision in ("ship", "stop"):
            break
    return result


def _looks(control: np.ndarray, variant: np.ndarray, full: float | None) -> dict[int, float]:
    """The places of the days on which a look is taken, and the share of the planned information there."""
    looks: dict[int, float] = {}
    if full is None:
        return looks
    newest = 0.0
    for place in np.flatnonzero(np.minimum(control, variant) >= LEAST_USERS):
        share = min(_information(control[place], variant[place]) / full, 1.0)
        if share - newest >= LEAST_GAIN or newest < share == 1.0:
            looks[int(place)] = newest = share
    return looks


def _full_information(plan: Plan, variant: str) -> float | None:
    if plan.users is None:
        return None
    total = sum(plan.weights.values())
    return _information(*(plan.users * plan.weights[name] / total for name in (plan.control, variant)))


def _information(control: float, variant: float) -> float:
    """What a difference of two means knows, in units of one over the variance of a person."""
    return 1 / (1 / control + 1 / variant)


def _judge(
    measure: str,
    plan: Plan,
    variant: str,
    sums: dict[str, pd.DataFrame],
    place: int,
    share: float | None,
    bound: float | None,
    looks: int,
) -> Result:
    """What one look says. Without a bound it decides nothing."""
    rows = {name: frame.iloc[place] for name, frame in sums.items()}
    users = {name: int(row["users"]) for name, row in rows.items()}
    both = users[plan.control] + users[variant]
    day = sums[variant].index[place]
    ratio = sample_ratio({name: int(row["exposed"]) for name, row in rows.items()}, plan.weights)
    told = Result(variant, day, looks, both, share, bound=bound, sample_ratio_p_value=ratio)
    if min(users[plan.control], users[variant]) < LEAST_USERS:
        return replace(
            told,
            sentence=f"Keep running: {both:,} people were waited for, and a look needs {LEAST_USERS} of each variant.",
        )
    tested = compare(measure, aggregates(rows[plan.control]), aggregates(rows[variant]))
    can_test = bool(np.isfinite(tested.statistic)) and tested.statistic != 0
    error = abs(tested.effect_size / tested.statistic) if can_test else None
    half = bound * error if bound is not None and error is not None else None
    told = replace(
        told,
        control_mean=float(tested.control),
        variant_mean=float(tested.treatment),
        effect=float(tested.effect_size),
        lo=None if half is None else float(tested.effect_size - half),
        hi=None if half is None else float(tested.effect_size + half),
        relative_effect=float(tested.effect_size / tested.control) if tested.control else None,
        statistic=float(tested.statistic) if error is not None else None,
        p_value=float(tested.pvalue) if error is not None else None,
    )
    decision, sentence = _decide(plan, told, both / (place + 1), _needed(plan, measure, rows[plan.control]))
    return replace(told, decision=decision, sentence=sentence)


def _decide(plan: Plan, told: Result, pace: float, needed: str) -> tuple[Decision, str]:
    """The decision, and a sentence that a person can act on. `pace` is people a day."""
    name, ratio = told.variant, told.sample_ratio_p_value
    if ratio < BROKEN_SPLIT:
        return "cannot be told", (
            f"It cannot be told: people are not split as intended (p = {ratio:.2g}), so those with {plan.control} and "
            f"those with {name} are not alike; find out who is missing."
        )
    doubt = f" People are split unevenly (p = {ratio:.2g}): find out why." if ratio < DOUBTFUL_SPLIT else ""
    means = f"{name} has {told.variant_mean:,.4g} where {plan.control} has {told.control_mean:,.4g}"
    if plan.users is None:
        why = "nobody planned how many people to wait for (`users` of the experiment)"
        return "cannot be told", f"It cannot be told: {means}, but {why}; {needed}.{doubt}"
    if told.lo is None:
        return "keep running", f"Keep running: {means}, and nothing varied yet.{doubt}"
    effect = f"{means}, {_limits(told)}"
    if told.lo > 0:
        return "ship", f"Ship {name}: {effect}.{doubt}"
    if told.hi < 0:
        return "stop", f"Stop {name}: {effect}; it does harm.{doubt}"
    if told.information_rate < 1:
        share = (plan.weights[plan.control] + plan.weights[name]) / sum(plan.weights.values())
        due = ceil(plan.users * share)
        until = told.day + timedelta(days=max(ceil((due - told.users) / pace), 1))
        when = f"{until:%Y-%m-%d} or so, when {due:,} people will have been waited for"
        return "keep running", f"Keep running until {when}: so far {effect}.{doubt}"
    least = plan.least_effect * abs(told.control_mean)
    if told.hi < least:
        return "stop", f"Stop {name}: {effect}; {100 * plan.least_effect:g} % or more can be excluded.{doubt}"
    return "cannot be told", (
        f"It cannot be told: {effect}, which leaves room for nothing and for {100 * plan.least_effect:g} %; "
        f"{needed}.{doubt}"
    )


def _needed(plan: Plan, measure: str, control: Mapping[str, float]) -> str:
    """How many people would do, in words."""
    numerator, denominator, _ = MEASURES[measure]
    known = aggregates(control)
    mean, variance = known.mean(numerator), known.var(numerator)
    if denominator is not None and known.mean(denominator):
        mean = known.mean(numerator) / known.mean(denominator)
        variance = known.ratio_var(numerator, denominator)
    if not mean or not variance:
        return "so far nothing happened that could be counted"
    count = users_needed(mean, variance, plan.least_effect, plan.alpha)
    return f"{count:,} in two equal variants would show an effect of {100 * plan.least_effect:g} %"


def _limits(told: Result) -> str:
    """The effect with its interval, relative to the control where that has a mean."""
    scale, unit = (100 / abs(told.control_mean), " %") if told.control_mean else (1, "")
    effect, lo, hi = (f"{scale * value:+,.3g}{unit}" for value in (told.effect, told.lo, told.hi))
    return f"{effect} ({lo} to {hi})"
