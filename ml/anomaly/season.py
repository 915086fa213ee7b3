"""Judges steps of half an hour and longer by the same hour of past weeks, or days while there are few weeks.

The expected value is the usual share of that hour in its week over past weeks (in its day over past days), at the level
of the last day. Deviations are measured in roots of the level, as counts spread, and judged by the tail of past ones.
"""

import numpy as np
import pandas as pd

from ml.anomaly.series import Calendar, Verdict
from ml.anomaly.tails import Tail, fit

THRESHOLD = 2.7  # surprise: once in five hundred steps, if the tail is as it is taken to be
TAIL = Tail(share=0.9, prior=40, usual=0.3, most=1.0)
NORMAL = 1.645  # the 90th percentile of |a normal deviation|, in its standard deviations
WEEKS, LEAST_WEEKS = 6, 3  # same hour of the week: how many are looked at, how many are enough
DAYS, LEAST_DAYS = 7, 3
MEMORY_WEEKS = 4  # how long past deviations are remembered
MEMORY_SEASONS = 12  # the same for steps of a day and longer
LEVEL_SHARE = 0.3  # of the usual level: below it, deviations shrink no further
LEAST_CHANGE = 0.09  # of the usual level: no smaller deviation is ever an anomaly


def judge(y: np.ndarray, steps: Calendar) -> Verdict:
    """By weeks once enough are known, else by days."""
    told = _around(expect(y, steps.week, WEEKS, LEAST_WEEKS, steps), y, steps)
    if steps.day == steps.week:
        return told
    by_day = _around(expect(y, steps.day, DAYS, LEAST_DAYS, steps), y, steps)
    is_new = np.isnan(told.half)
    fields = ("expected", "half", "sigma", "distance")
    return Verdict(**{name: np.where(is_new, getattr(by_day, name), getattr(told, name)) for name in fields})


def expect(y: np.ndarray, season: int, count: int, least: int, steps: Calendar) -> np.ndarray:
    """The shape of the last `count` seasons at the level of the last day, each season's own level taken out before.

    Shapes are factors, or distances once the series was negative. nan where fewer than `least` seasons are known.
    """
    level = pd.Series(y).rolling(season, min_periods=season // 2).mean().to_numpy()
    factor = np.divide(y, level, out=y * 0.0, where=level != 0)
    shape = _median_of_lags(factor, season, count, least)
    expected = shape * np.nan_to_num(_lately(y / np.where(shape > 0, shape, np.nan), steps))
    expected[np.isnan(_lately(y - shape, steps))] = np.nan  # the level of the last day is not known
    if (y < 0).any():
        was_negative = pd.Series(y).shift(1).cummin().to_numpy() < 0
        shape = _median_of_lags(y - level, season, count, least)
        expected = np.where(was_negative, shape + _lately(y - shape, steps), expected)
    return expected


def _around(expected: np.ndarray, y: np.ndarray, steps: Calendar) -> Verdict:
    """What is said of y by an expectation and how far it was off before; nan until there is enough of that."""
    memory = (MEMORY_WEEKS if steps.day < steps.week else MEMORY_SEASONS) * steps.week
    least = max(4, min(3 * steps.day, steps.week // 2))
    usual = pd.Series(np.abs(y)).shift(1).rolling(memory, min_periods=1).mean().to_numpy()
    unit = np.sqrt(np.maximum(np.abs(expected), LEVEL_SHARE * usual))
    unit[unit == 0] = 1.0  # a series that was always zero
    tail = fit(TAIL, np.abs(y - expected) / unit, np.zeros(len(y)), memory, least)
    half = np.maximum(tail.size(THRESHOLD) * unit, LEAST_CHANGE * usual)
    half[half == 0] = np.finfo(float).tiny
    sigma = np.where(tail.begin > 0, tail.begin / NORMAL * unit, np.where(usual > 0, half, 1.0))
    known = np.where(np.isnan(expected) | np.isnan(half), np.nan, 1.0)
    return Verdict(expected * known, half * known, sigma * known, np.abs(y - expected) / half * known)


def _median_of_lags(y: np.ndarray, lag: int, count: int, least: int) -> np.ndarray:
    """The median of the values 1, 2, … `count` lags ago; nan where fewer than `least` of them are known."""
    lags = np.full((count, len(y)), np.nan)
    for back in range(1, count + 1):
        if back * lag < len(y):
            lags[back - 1, back * lag :] = y[: -back * lag]
    lags.sort(axis=0)  # what is not known comes last
    known = count - np.isnan(lags).sum(axis=0)
    middle = [np.take_along_axis(lags, np.maximum(place, 0)[None], 0)[0] for place in ((known - 1) // 2, known // 2)]
    return np.where(known >= least, (middle[0] + middle[1]) / 2, np.nan)


def _lately(values: np.ndarray, steps: Calendar) -> np.ndarray:
    """The median over the day before each point; nan with less than a quarter of a day."""
    least = max(2, steps.day // 4)
    return pd.Series(values).shift(1).rolling(steps.day, min_periods=least).median().to_numpy()
