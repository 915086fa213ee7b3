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
    multiplies them by 0.1, 0.3, 2.5 or 4. Returns the changed series and the truth: unique_id, start and end (the first and last changed ds).
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
