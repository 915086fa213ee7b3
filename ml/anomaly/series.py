"""Series as they come and as they are judged: checked, and laid on a grid of equal steps. Nothing is judged here."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Calendar:
    """Steps in a day and in a week; for steps of a day and longer, one season takes the place of both."""

    step: pd.Timedelta
    day: int
    week: int


@dataclass(frozen=True)
class Verdict:
    """What a judge says of each step, nan where it cannot say: arrays of one length, all but `distance` in y's unit.

    `half` is half the width of the band, `sigma` the usual deviation, and `distance` above 1 an anomaly.
    """

    expected: np.ndarray
    half: np.ndarray
    sigma: np.ndarray
    distance: np.ndarray


def checked(series: pd.DataFrame) -> pd.DataFrame:
    """unique_id, ds and y, sorted. Raises ValueError for a missing column, an infinite value or a time given twice."""
    if missing := {"unique_id", "ds", "y"} - set(series.columns):
        raise ValueError(f"The series frame has no column {sorted(missing)[0]}: it needs unique_id, ds and y.")
    frame = series[["unique_id", "ds", "y"]].assign(ds=pd.to_datetime(series["ds"]), y=series["y"].astype(float))
    if np.isinf(frame["y"]).any():
        raise ValueError("y holds infinite values: correct or leave out those rows.")
    if frame.duplicated(["unique_id", "ds"]).any():
        raise ValueError("Some series has the same time twice: aggregate it first.")
    return frame.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)


def calendar(ds: pd.Series, freq: str | None) -> Calendar:
    if freq is not None:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
    else:
        steps = ds.iloc[:100].diff().dropna()  # the beginning only: later points must not change earlier verdicts
        step = steps.mode().iloc[0] if len(steps) else pd.Timedelta(hours=1)
    day = round(pd.Timedelta(days=1) / step)
    return Calendar(step, day, 7 * day) if day >= 2 else Calendar(step, 7, 7)


def grid(one: pd.DataFrame, steps: Calendar) -> tuple[np.ndarray, np.ndarray]:
    """The series on all its steps, nan where none was given, and the place of each row in it."""
    position = ((one["ds"] - one["ds"].iloc[0]) / steps.step).round().astype(int).to_numpy()
    y = np.full(position[-1] + 1, np.nan)
    y[position] = one["y"].to_numpy()
    return y, position
