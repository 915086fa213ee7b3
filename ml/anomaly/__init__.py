"""Anomalies, each point judged by its past only. Alert rules and incidents are not decided here.

Steps of half an hour and longer are judged by their season (`season`), shorter ones by what an online autoregression
says of them (`stream`). What a change consists of is told by `explain`, unusual behaviour of users, sellers and rooms
by `behaviour`; `trials` plants anomalies to measure by.
"""

import numpy as np
import pandas as pd

from ml.anomaly import season, stream
from ml.anomaly.alerts import alerts
from ml.anomaly.series import Calendar, calendar, checked, grid

COLUMNS = ["unique_id", "ds", "score", "is_anomaly", "expected", "lo", "hi", "direction", "effect_size"]
FINE_STEPS = 48  # in a day: from more on, the last steps say more of a point than the same hour of past days does


def detect(series: pd.DataFrame, freq: str | None = None) -> pd.DataFrame:
    """Judge every point of each series by the points before it.

    `series` has unique_id, ds and y; missing steps are gaps. `freq` is a pandas frequency, by default the commonest
    step at the beginning of each series. Returns a row for each given row, sorted by unique_id and ds:

    - `score`, 0..1, an anomaly above 0.5; for steps of half an hour and longer that is outside [`lo`, `hi`], while the
      score of shorter ones looks at the last two dozen steps together;
    - `is_anomaly`, the first point above 0.5 and those right after it; nothing more is told until a rest has passed
      since that first point, and by then a lasting shift has become the expected level;
    - `expected`, `lo`, `hi`, in the unit of y; `direction`, up or down; `effect_size`, the distance from `expected` in
      usual deviations (1 is a standard deviation of what was normal before).

    Points without enough history have score 0, no expected value (nan) and no direction (None).
    """
    frame = checked(series)
    parts = [_judge(one, calendar(one["ds"], freq)) for _, one in frame.groupby("unique_id", sort=True)]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _judge(one: pd.DataFrame, steps: Calendar) -> pd.DataFrame:
    y, position = grid(one, steps)
    judge = stream if steps.day > FINE_STEPS else season
    verdict = judge.judge(y, steps)
    away = y - verdict.expected
    lo = verdict.expected - verdict.half
    judged = pd.DataFrame(
        {
            "score": np.nan_to_num(1.0 - 1.0 / (1.0 + verdict.distance)),
            "is_anomaly": alerts(verdict.distance > 1.0, min(steps.day, stream.REST)),
            "expected": verdict.expected,
            "lo": np.where(_was_negative(y), lo, np.maximum(lo, 0.0)),
            "hi": verdict.expected + verdict.half,
            "direction": np.where(np.isnan(away), None, np.where(away < 0, "down", "up")),
            "effect_size": away / verdict.sigma,
        }
    )
    return pd.concat(
        [one[["unique_id", "ds"]].reset_index(drop=True), judged.iloc[position].reset_index(drop=True)], axis=1
    )


def _was_negative(y: np.ndarray) -> np.ndarray:
    """Whether any value before was below zero: else none is expected to be."""
    return pd.Series(y).shift(1).cummin().to_numpy() < 0
