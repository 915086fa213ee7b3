"""Judges steps shorter than half an hour by an online autoregression, and by their season and level together.

One deviation says little in a fast series: those of the last dozen steps are averaged, and judged by the tail of the
averages before. A point is also told when it has left both what its hour of the day says and its usual level.
"""

import numpy as np
import pandas as pd

from ml.anomaly import season
from ml.anomaly.series import Calendar, Verdict
from ml.anomaly.tails import Tail, fit

THRESHOLD = 1.96  # surprise of averaged deviations, which follow one another
BAND = 3.0  # surprise of a single deviation, at which the band lies
REST = 144  # steps: half a day of five minutes
MEMORY = 4032  # steps of past deviations; a weight has halved after as many
LEAST = 100
LAGS = 3  # of the autoregression
BLOCK = 12  # steps between two fits of it
RIDGE = 1e-3  # of the inputs' own size: draws the autoregression towards the last value
SPANS = (8, 20)  # steps over which the autoregression's deviations are averaged
LEVEL_SPAN = 24  # the same for those from season and level
TAIL = Tail(share=0.98, prior=10, usual=0.35, most=np.inf)
NORMAL = 2.326  # the 98th percentile of |a normal deviation|, in its standard deviations
LEAST_CHANGE = 1e-3  # of the usual size of y: where a tail begins at the earliest


def judge(y: np.ndarray, steps: Calendar) -> Verdict:
    filled = pd.Series(y).ffill().fillna(0.0).to_numpy()
    expected = autoregression(filled)
    floor = LEAST_CHANGE * pd.Series(np.abs(filled)).shift(1).expanding().mean().fillna(0).to_numpy() + 1e-9
    size = np.abs(filled - expected)
    short = np.mean([_surprise(_mean(size, span), floor) for span in SPANS], axis=0)
    level = pd.Series(filled).shift(1).rolling(MEMORY, min_periods=LEAST).median().to_numpy()
    by_season = season.expect(filled, steps.day, season.DAYS, season.LEAST_DAYS, steps)
    by_season = np.where(np.isnan(by_season), level, by_season)
    long = [_surprise(np.abs(_mean(np.nan_to_num(filled - one), LEVEL_SPAN)), floor) for one in (by_season, level)]
    single = fit(TAIL, size, floor, MEMORY, LEAST)
    known = np.where(np.isnan(single.begin) | np.isnan(y), np.nan, 1.0)
    distance = np.maximum(short, np.minimum(*long)) / THRESHOLD
    return Verdict(expected * known, single.size(BAND) * known, single.begin / NORMAL * known, distance * known)


def autoregression(y: np.ndarray) -> np.ndarray:
    """The value expected at each step from the `LAGS` before it, by least squares over all earlier blocks of steps.

    Older steps weigh less, and the weights are drawn towards "as the last value" (ridge). y has no gaps.
    """
    from scipy.signal import lfilter

    count = len(y)
    inputs = np.ones((count, LAGS + 1))
    for lag in range(1, LAGS + 1):
        inputs[lag:, lag] = y[: count - lag] if lag < count else []
        inputs[:lag, lag] = y[0]
    blocks = -(-count // BLOCK)
    inputs = np.vstack([inputs, np.zeros((blocks * BLOCK - count, LAGS + 1))]).reshape(blocks, BLOCK, LAGS + 1)
    outputs = np.append(y, np.zeros(blocks * BLOCK - count)).reshape(blocks, BLOCK)
    forget = [1.0, -(0.5 ** (BLOCK / MEMORY))]
    products = lfilter([1.0], forget, np.einsum("bij,bik->bjk", inputs, inputs), axis=0)
    targets = lfilter([1.0], forget, np.einsum("bij,bi->bj", inputs, outputs), axis=0)
    last_value = np.eye(LAGS + 1)[1]
    ridge = RIDGE * np.trace(products, axis1=1, axis2=2) + 1e-9
    weights = np.tile(last_value, (blocks, 1))
    left = products + ridge[:, None, None] * np.eye(LAGS + 1)
    right = targets + ridge[:, None] * last_value
    weights[1:] = np.linalg.solve(left[:-1], right[:-1, :, None])[..., 0]
    return np.einsum("bij,bj->bi", inputs, weights).reshape(-1)[:count]


def _surprise(size: np.ndarray, floor: np.ndarray) -> np.ndarray:
    fitted = fit(TAIL, size, floor, MEMORY, LEAST)
    return np.where(np.isnan(fitted.begin), 0.0, fitted.surprise(size))


def _mean(values: np.ndarray, span: int) -> np.ndarray:
    return pd.Series(values).rolling(span, min_periods=1).mean().to_numpy()
