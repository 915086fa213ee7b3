"""Whether one version of a model is better than another, from their losses out of sample. Nothing here learns.

Losses are means of something that is better when smaller: an absolute error, a squared error of a probability. Which
versions there are, and which of them serves, is not known here.
"""

from dataclasses import dataclass

import numpy as np

LEAST_GAIN = 0.01  # of the loss of the model in service: less is not worth a change
LEVEL = 0.95
RESAMPLES = 2000
LEAST_BLOCKS, MOST_BLOCKS = 4, 1000  # fewer tell nothing about chance; more are drawn some together


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
    if len(names) < LEAST_BLOCKS:
        raise ValueError(f"Losses of {len(names)} independent blocks cannot be compared: {LEAST_BLOCKS} are needed.")
    place = place % MOST_BLOCKS
    sums = np.stack([np.bincount(place, losses) for losses in (challenger, champion)])
    told = _ratio(*(sums @ _drawn(sums.shape[1], seed)))
    return _with_interval(float(_ratio(*sums.sum(axis=1))), told, sums.shape[1], len(challenger))


def compare_groups(challenger: np.ndarray, champion: np.ndarray, seed: int = 0) -> Comparison:
    """Compare losses on different units, each served by one of the two at random: an experiment.

    Raises ValueError with fewer than four units on a side.
    """
    fewest = min(len(challenger), len(champion))
    if fewest < LEAST_BLOCKS:
        raise ValueError(f"Losses of {fewest} predictions cannot be compared: {LEAST_BLOCKS} are needed.")
    means = [_resampled_mean(losses, seed + side) for side, losses in enumerate((challenger, champion))]
    change = float(_ratio(challenger.mean(), champion.mean()))
    return _with_interval(change, _ratio(*means), min(fewest, MOST_BLOCKS), len(challenger) + len(champion))


def _resampled_mean(losses: np.ndarray, seed: int) -> np.ndarray:
    place = np.arange(len(losses)) % MOST_BLOCKS
    sums = np.stack([np.bincount(place, losses), np.bincount(place)])
    total, count = sums @ _drawn(sums.shape[1], seed)
    return total / count


def _drawn(count: int, seed: int) -> np.ndarray:
    """How often each block is in each resample: (count, RESAMPLES)."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), RESAMPLES).T.astype(float)


def _ratio(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Relative change; none where both are zero, all there is where only the champion's is."""
    own, other = np.asarray(own, dtype=float), np.asarray(other, dtype=float)
    known = np.divide(own, other, out=np.ones_like(own), where=other > 0) - 1
    return np.where((other <= 0) & (own > 0), np.inf, known)


def _with_interval(change: float, resampled: np.ndarray, count: int, units: int) -> Comparison:
    from scipy.stats import norm, t

    tail = (1 - LEVEL) / 2
    spread = t.ppf(1 - tail, count - 1) / norm.ppf(1 - tail) * np.sqrt(count / (count - 1))
    lo, hi = change + spread * (np.quantile(resampled, [tail, 1 - tail]) - change)
    return Comparison(change, float(lo), float(hi), units)
