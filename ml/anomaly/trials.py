"""Planted anomalies, how alerts are scored against them, and a plain detector to compare with. No series is judged."""

import numpy as np
import pandas as pd

from ml.anomaly.alerts import alerts
from ml.anomaly.series import calendar, checked, grid


def trailing_sigma(series: pd.DataFrame, freq: str | None = None, sigmas: float = 3.0) -> pd.DataFrame:
    """The plain baseline: further than `sigmas` standard deviations from the mean of the past week; same alert rule."""
    parts = []
    for _, one in checked(series).groupby("unique_id", sort=True):
        steps = calendar(one["ds"], freq)
        y, position = grid(one, steps)
        past = pd.Series(y).shift(1).rolling(steps.week, min_periods=steps.week // 2)
        is_out = np.abs(y - past.mean().to_numpy()) > sigmas * past.std().to_numpy()
        parts.append(one.assign(is_anomaly=alerts(is_out, steps.day)[position]))
    return pd.concat(parts, ignore_index=True)[["unique_id", "ds", "is_anomaly"]]


def inject(series: pd.DataFrame, seed: int, per_series: int = 4, steps: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Plant anomalies of known place into the second half of each series, to measure detection by.

    Each lasts `steps` points, on the average busy ones (not below the median of the values that are not 0), and
    multiplies them by 0.1, 0.3, 2.5 or 4. Returns the changed series and the truth: unique_id, start and end (the first
    and last changed ds).
    """
    random = np.random.default_rng(seed)
    changed, truth = checked(series), []
    y = changed["y"].to_numpy().copy()
    for name, rows in changed.groupby("unique_id", sort=True).indices.items():
        own = y[rows]
        usual = np.nanmedian(own[own != 0]) if (own != 0).any() else np.inf
        is_busy = pd.Series(own).rolling(steps).mean().shift(1 - steps).to_numpy() >= usual
        for block in np.array_split(np.arange(len(rows) // 2, len(rows)), per_series):
            starts = block[:-steps][is_busy[block[:-steps]]]
            if len(starts):
                hit = rows[np.arange(steps) + random.choice(starts)]
                y[hit] *= random.choice([0.1, 0.3, 2.5, 4.0])
                truth.append((name, changed["ds"].iloc[hit[0]], changed["ds"].iloc[hit[-1]]))
    return changed.assign(y=y), pd.DataFrame(truth, columns=["unique_id", "start", "end"])


def score_alerts(judged: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Precision, recall, F1 and false alarms (their number) of alerts against planted spans (unique_id, start, end).

    An alert is a run of rows with is_anomaly. It is right when it touches a span; a span is found when an alert
    touches it. Precision is the share of right alerts, recall the share of spans found.
    """
    right = wrong = found = 0
    spans = {name: some for name, some in truth.groupby("unique_id")}
    for name, one in judged.groupby("unique_id"):
        flags = one["is_anomaly"].to_numpy()
        run = np.cumsum(np.diff(flags, prepend=False) & flags)[flags]
        ds = one.loc[flags, "ds"].to_numpy()
        own = spans.get(name, truth.iloc[:0])
        touches = (ds[:, None] >= own["start"].to_numpy()) & (ds[:, None] <= own["end"].to_numpy())
        runs_right = len(np.unique(run[touches.any(axis=1)]))
        right, wrong = right + runs_right, wrong + len(np.unique(run)) - runs_right
        found += int(touches.any(axis=0).sum())
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = found / len(truth) if len(truth) else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "false_alarms": wrong}


def root_causes(drop: float, trials: int, seed: int) -> float:
    """The share of trials in which the slice that dropped is among the first three that `explain.segments` names.

    A whole of three dimensions (8, 5 and 6 values of very unequal size, some 20,000 an hour) is expected from four past
    hours and observed once, all as counts that vary by a tenth more than by chance. A slice, by one dimension or by two
    together, of 3 to 50 % of the whole, loses `drop` of itself. Slices by one dimension and by two are candidates.
    """
    random = np.random.default_rng(seed)
    found = [_root_cause(random, drop) for _ in range(trials)]
    return float(np.mean(found))


def _root_cause(random: np.random.Generator, drop: float) -> bool:
    from itertools import combinations, product

    from ml.anomaly import explain

    sizes = (8, 5, 6)
    share = np.prod(np.meshgrid(*(random.lognormal(0, 1, size) for size in sizes), indexing="ij"), axis=0)
    mean = 20_000 * share / share.sum() * random.lognormal(0, 0.3, sizes)
    masks = {}
    for count in (1, 2):
        for axes in combinations(range(3), count):
            for values in product(*(range(sizes[axis]) for axis in axes)):
                mask = np.zeros(sizes, dtype=bool)
                place = [slice(None)] * 3
                for axis, value in zip(axes, values, strict=True):
                    place[axis] = value
                mask[tuple(place)] = True
                masks[",".join(f"{axis}={value}" for axis, value in zip(axes, values, strict=True))] = mask
    part = {name: mean[mask].sum() / mean.sum() for name, mask in masks.items()}
    true = random.choice([name for name, share in part.items() if 0.03 <= share <= 0.5])
    now = np.where(masks[true], mean * (1 - drop), mean)
    value = random.poisson(now * random.gamma(100, 0.01, sizes))
    past = np.mean([random.poisson(mean * random.gamma(100, 0.01, sizes)) for _ in range(4)], axis=0)
    rows = [("all", value.sum(), past.sum()), *((name, value[m].sum(), past[m].sum()) for name, m in masks.items())]
    told = explain.segments(pd.DataFrame(rows, columns=["segment", "value", "expected"]))
    return true in set(told["segment"])
