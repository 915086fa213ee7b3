"""Whether values come from another distribution than those that a model learned from. Nothing here learns.

What is kept of the learned ones is a histogram: no single value can be read from it.
"""

from dataclasses import dataclass

import numpy as np

BINS = 10
LEAST = 500  # values on either side: fewer cannot tell a shift from chance
LEAST_PSI = 0.04  # what a shift of a normal distribution by 0.2 standard deviations makes
LEAST_SHIFT = 0.075  # the same shift, as a difference of cumulative shares
CERTAINTY = 0.999

Histogram = dict[str, list]  # edges: the inner ones, ascending; counts: one more than edges, then of missing values


@dataclass(frozen=True)
class Drift:
    """How far apart two distributions are; `threshold` is what `psi` must reach, given how many values there were."""

    psi: float
    shift: float
    n: int
    threshold: float

    @property
    def is_drift(self) -> bool:
        return self.psi >= self.threshold and self.shift >= LEAST_SHIFT


def histogram(values: np.ndarray) -> Histogram:
    """What to remember of values: tenths of them, and how many lie in each. Few distinct values get a bin each."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= BINS:
        edges = (distinct[1:] + distinct[:-1]) / 2
    else:
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    return {"edges": edges.tolist(), "counts": _counts(edges, values).tolist()}


def drift(learned: Histogram, values: np.ndarray) -> Drift:
    """Compare values with the histogram of those learned from.

    `psi` is the population stability index, the sum of (p - q) · ln(p / q) over bins, less what chance alone makes of
    it: (bins - 1) · (1/n + 1/m) (Yurdakul 2018). `shift` is the effect size: the largest difference of cumulative
    shares, 0..1 (Kolmogorov and Smirnov's distance, over the bins). With fewer than 500 values on a side nothing is
    called a drift: the threshold is infinite.
    """
    before = np.array(learned["counts"], dtype=float)
    now = _counts(np.array(learned["edges"]), values).astype(float)
    is_used = before + now > 0
    before, now = before[is_used], now[is_used]
    n, m = now.sum(), before.sum()
    if min(n, m) < LEAST:
        return Drift(0.0, 0.0, int(n), float("inf"))
    p, q = (_shares(counts) for counts in (now, before))
    chance = 1 / n + 1 / m
    psi = float(((p - q) * np.log(p / q)).sum() - (len(p) - 1) * chance)
    shift = float(np.abs(np.cumsum(now / n) - np.cumsum(before / m)).max())
    return Drift(psi, shift, int(n), max(LEAST_PSI, _by_chance(len(p)) * chance))


def _counts(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    inside = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(inside, len(values) - len(known))


def _shares(counts: np.ndarray) -> np.ndarray:
    """With half a value more in each bin, so that none is empty."""
    return (counts + 0.5) / (counts + 0.5).sum()


def _by_chance(bins: int) -> float:
    """What the index, in units of 1/n + 1/m and less its expectation, exceeds once in a thousand times."""
    from scipy.stats import chi2

    return float(chi2.ppf(CERTAINTY, bins - 1) - (bins - 1)) if bins > 1 else 0.0
