"""How rare a deviation is, by the tail of the deviations before it. Where deviations come from is not known here."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Tail:
    """How a tail is learned: from the last `memory` deviations, once `least` are known.

    Above their `share` quantile, a deviation's logarithm is taken to be exponential (a Pareto tail; its mean is Hill's
    estimator), drawn by the weight of `prior` such deviations towards the mean `usual`. One counts for at most `most`,
    so that a past anomaly does not hide the next.
    """

    share: float
    prior: float
    usual: float
    most: float


@dataclass(frozen=True)
class Fitted:
    """The tail before each step: its beginning, and the mean logarithm of how far deviations went beyond it."""

    tail: Tail
    begin: np.ndarray
    mean: np.ndarray

    def surprise(self, size: np.ndarray) -> np.ndarray:
        """-log10 of the probability of so large a deviation; 0 within the share that is not in the tail."""
        excess = _excess(size, self.begin)
        told = (excess / self.mean / np.log(10)) - np.log10(1 - self.tail.share)
        return np.where(excess > 0, told, 0.0)

    def size(self, surprise: float) -> np.ndarray:
        """The deviation that is so surprising: the inverse of `surprise`."""
        return self.begin * np.exp((surprise + np.log10(1 - self.tail.share)) * np.log(10) * self.mean)


def fit(tail: Tail, size: np.ndarray, floor: np.ndarray, memory: int, least: int) -> Fitted:
    """The tail before each of the deviations `size` (>= 0, nan where unknown); it never begins below `floor`."""
    past = pd.Series(size).shift(1).rolling(memory, min_periods=least)
    begin = np.maximum(past.quantile(tail.share).to_numpy(), floor)
    excess = np.minimum(_excess(size, begin), tail.most)
    past = (
        pd.DataFrame({"sum": excess, "count": excess > 0}).astype(float).shift(1).rolling(memory, min_periods=1).sum()
    )
    return Fitted(tail, begin, ((past["sum"] + tail.prior * tail.usual) / (past["count"] + tail.prior)).to_numpy())


def _excess(size: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """How far each deviation lies above the beginning of the tail, as a logarithm; 0 below it or where unknown."""
    ratio = np.divide(size, begin, out=np.zeros(len(size)), where=begin > 0)
    return np.log(np.maximum(np.nan_to_num(ratio), 1.0))
