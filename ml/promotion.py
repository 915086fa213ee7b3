"""Whether one version of a model is better than another, from their losses out of sample. Nothing here learns.

Losses are means of something that is better when smaller: an absolute error, a squared error of a probability. Which
versions there are, and which of them serves, is not known here.
"""

from dataclasses import dataclass

import numpy as np

LEAST_GAIN = 0.01  # of the loss of the model in service: less is not worth a change
LEVEL = 0.95
RESAMPLES = 4000
LEAST_BLOCKS = 4  # fewer tell nothing about chance


@dataclass(frozen=True)
class Comparison:
    """By what share the challenger's mean loss differs from the champion's (-0.02: 2 % less), with its interval."""

    change: float
    lo: float
    hi: float
    units: int

    @property
    def is_better(self) -> bool:
        """At least 1 % better, and not by chance."""
        return self.change <= -LEAST_GAIN and self.hi < 0

    def __str__(self) -> str:
        told = f"{self.change:+.1%} loss ({self.lo:+.1%} to {self.hi:+.1%}) on {self.units:,} predictions"
        return told.replace("-", "−")


def compare_paired(challenger: np.ndarray, champion: np.ndarray, blocks: np.ndarray, seed: int = 0) -> Comparison:
    """Compare losses of both on the same units, whose `blocks` are independent of each other: people, or weeks.

    A bootstrap of blocks (Efron and Tibshirani 1993) over the ratio of mean losses; its quantiles are spread by
    Student's distribution and by n / (n - 1), as few blocks vary less among their resamples than the truth does.
    Raises ValueError with fewer than four blocks.
    """
    names, place = np.unique(blocks, return_inverse=True)
    count = len(names)
    if count < LEAST_BLOCKS:
        raise ValueError(f"Losses of {count} independent blocks cannot be compared: {LEAST_BLOCKS} are needed.")
    own, other = (np.bincount(place, losses, count) for losses in (challenger, champion))
    change = _ratio(own.sum(), other.sum())
    return _with_interval(change, _resampled([own, other], count, seed), count, len(challenger))


def compare_groups(challenger: np.ndarray, champion: np.ndarray, seed: int = 0) -> Comparison:
    """Compare losses on different units, each served by one of the two at random: an experiment.

    Raises ValueError with fewer than four units on a side.
    """
    fewest = min(len(challenger), len(champion))
    if fewest < LEAST_BLOCKS:
        raise ValueError(f"Losses of {fewest} predictions cannot be compared: {LEAST_BLOCKS} are needed.")
    means = [
        _resampled([losses, np.ones(len(losses))], len(losses), seed + side) + 1
        for side, losses in enumerate((challenger, champion))
    ]
    change = _ratio(challenger.mean(), champion.mean())
    told = np.divide(means[0], means[1], out=np.ones(RESAMPLES), where=means[1] > 0) - 1
    return _with_interval(change, told, fewest, len(challenger) + len(champion))


def _resampled(sums: list[np.ndarray], count: int, seed: int) -> np.ndarray:
    """The ratio of two sums over blocks, less one, in each resample."""
    random = np.random.default_rng(seed)
    drawn = [random.multinomial(count, np.full(count, 1 / count)) for _ in range(RESAMPLES)]
    own, other = (np.array([weights @ some for weights in drawn]) for some in sums)
    return np.divide(own, other, out=np.ones(RESAMPLES), where=other > 0) - 1


def _ratio(own: float, other: float) -> float:
    """Relative change; none where both are zero, all there is where only the champion's is."""
    if other > 0:
        return float(own / other - 1)
    return 0.0 if own == 0 else float("inf")


def _with_interval(change: float, resampled: np.ndarray, count: int, units: int) -> Comparison:
    from scipy.stats import norm, t

    tail = (1 - LEVEL) / 2
    spread = t.ppf(1 - tail, count - 1) / norm.ppf(1 - tail) * np.sqrt(count / (count - 1))
    lo, hi = change + spread * (np.quantile(resampled, [tail, 1 - tail]) - change)
    return Comparison(change, float(lo), float(hi), units)
