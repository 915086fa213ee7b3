"""Anomalies in regular series, each point judged by its past only. Alert rules and incidents are not decided here.

The expected value is the usual share of that hour in its week over past weeks (in its day over past days, while there
are few weeks), at the level of the last day. The deviation is measured in units of the series'
own past deviations, which grow with the square root of the level, as counts do.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

THRESHOLD = 4.5  # deviations; there the score is 0.5 and there lie `lo` and `hi`
WEEKS, LEAST_WEEKS = 6, 3  # same hour of the week: how many are looked at, how many are enough
DAYS, LEAST_DAYS = 7, 3
MEMORY_WEEKS = 4  # how long past deviations are remembered
MEMORY_SEASONS = 12  # the same for steps of a day and longer
LEVEL_SHARE = 0.3  # of the usual level: below it, deviations shrink no further
LEAST_CHANGE = 0.02  # of the usual level: no smaller deviation is ever an anomaly


@dataclass(frozen=True)
class _Calendar:
    """Steps in a day and in a week; for steps of a day and longer, one season takes the place of both."""

    step: pd.Timedelta
    day: int
    week: int


def detect(series: pd.DataFrame, freq: str | None = None) -> pd.DataFrame:
    """Judge every point of each series by the points before it.

    `series` has unique_id, ds and y; missing steps are gaps. `freq` is a pandas frequency, by default the commonest
    step at the beginning of each series. Returns unique_id, ds, score, is_anomaly, expected, lo and hi, a row for
    each given row, sorted by unique_id and ds. `score` is 0..1, above 0.5 outside [lo, hi]. `is_anomaly` marks the
    first point outside and those right after it; once the series was back, nothing more is told until a day after
    that first point, and by then a lasting shift has become the expected level. Points without enough history have
    score 0 and no expected value (nan).
    """
    frame = _checked(series)
    parts = [_judge(one, _calendar(one["ds"], freq)) for _, one in frame.groupby("unique_id", sort=True)]
    columns = ["unique_id", "ds", "score", "is_anomaly", "expected", "lo", "hi"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def trailing_sigma(series: pd.DataFrame, freq: str | None = None, sigmas: float = 3.0) -> pd.DataFrame:
    """The plain baseline: further than `sigmas` standard deviations from the mean of the past week; same alert rule."""
    parts = []
    for _, one in _checked(series).groupby("unique_id", sort=True):
        calendar = _calendar(one["ds"], freq)
        y, position = _grid(one, calendar)
        past = pd.Series(y).shift(1).rolling(calendar.week, min_periods=calendar.week // 2)
        is_out = np.abs(y - past.mean().to_numpy()) > sigmas * past.std().to_numpy()
        parts.append(one.assign(is_anomaly=_alerts(is_out, calendar.day)[position]))
    return pd.concat(parts, ignore_index=True)[["unique_id", "ds", "is_anomaly"]]


def inject(series: pd.DataFrame, seed: int, per_series: int = 4, steps: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Plant anomalies of known place into the second half of each series, to measure detection by.

    Each begins at a busy point (not below the series' median), lasts `steps` points and multiplies them by 0.1, 0.3,
    2.5 or 4. Returns the changed series and the truth: unique_id, start and end (the first and last changed ds).
    """
    random = np.random.default_rng(seed)
    changed, truth = _checked(series), []
    y = changed["y"].to_numpy().copy()
    for name, rows in changed.groupby("unique_id", sort=True).indices.items():
        is_busy = y >= np.nanmedian(y[rows])
        for block in np.array_split(rows[len(rows) // 2 :], per_series):
            starts = block[:-steps][is_busy[block[:-steps]]]
            if len(starts):
                hit = np.arange(steps) + random.choice(starts)
                y[hit] *= random.choice([0.1, 0.3, 2.5, 4.0])
                truth.append((name, changed["ds"].iloc[hit[0]], changed["ds"].iloc[hit[-1]]))
    return changed.assign(y=y), pd.DataFrame(truth, columns=["unique_id", "start", "end"])


def score_alerts(judged: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Precision, recall and F1 of alerts against planted spans (unique_id, start, end).

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
    return {"precision": precision, "recall": recall, "f1": f1}


# Input ---------------------------------------------------------------------------------------------------------------


def _checked(series: pd.DataFrame) -> pd.DataFrame:
    if missing := {"unique_id", "ds", "y"} - set(series.columns):
        raise ValueError(f"The series frame has no column {sorted(missing)[0]}: it needs unique_id, ds and y.")
    frame = series[["unique_id", "ds", "y"]].assign(ds=pd.to_datetime(series["ds"]), y=series["y"].astype(float))
    if np.isinf(frame["y"]).any():
        raise ValueError("y holds infinite values: correct or leave out those rows.")
    if frame.duplicated(["unique_id", "ds"]).any():
        raise ValueError("Some series has the same time twice: aggregate it first.")
    return frame.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)


def _calendar(ds: pd.Series, freq: str | None) -> _Calendar:
    if freq is not None:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
    else:
        steps = ds.iloc[:100].diff().dropna()  # the beginning only: later points must not change earlier verdicts
        step = steps.mode().iloc[0] if len(steps) else pd.Timedelta(hours=1)
    day = round(pd.Timedelta(days=1) / step)
    return _Calendar(step, day, 7 * day) if day >= 2 else _Calendar(step, 7, 7)


def _grid(one: pd.DataFrame, calendar: _Calendar) -> tuple[np.ndarray, np.ndarray]:
    """The series on all its steps, nan where none was given, and the place of each row in it."""
    position = ((one["ds"] - one["ds"].iloc[0]) / calendar.step).round().astype(int).to_numpy()
    y = np.full(position[-1] + 1, np.nan)
    y[position] = one["y"].to_numpy()
    return y, position


# Judging -------------------------------------------------------------------------------------------------------------


def _judge(one: pd.DataFrame, calendar: _Calendar) -> pd.DataFrame:
    y, position = _grid(one, calendar)
    expected, half = _band(y, calendar)
    distance = np.abs(y - expected) / half
    judged = pd.DataFrame(
        {
            "score": np.nan_to_num(1.0 - 1.0 / (1.0 + distance)),
            "is_anomaly": _alerts(distance > 1.0, calendar.day),
            "expected": expected,
            "lo": np.where(_was_negative(y), expected - half, np.maximum(expected - half, 0.0)),
            "hi": expected + half,
        }
    )
    return pd.concat(
        [one[["unique_id", "ds"]].reset_index(drop=True), judged.iloc[position].reset_index(drop=True)], axis=1
    )


def _band(y: np.ndarray, calendar: _Calendar) -> tuple[np.ndarray, np.ndarray]:
    """The expected values and half the width of their band: by weeks once enough are known, else by days."""
    expected, half = _around(_expected(y, calendar.week, WEEKS, LEAST_WEEKS, calendar), y, calendar)
    if calendar.day == calendar.week:
        return expected, half
    by_day, half_by_day = _around(_expected(y, calendar.day, DAYS, LEAST_DAYS, calendar), y, calendar)
    is_new = np.isnan(half)
    return np.where(is_new, by_day, expected), np.where(is_new, half_by_day, half)


def _around(expected: np.ndarray, y: np.ndarray, calendar: _Calendar) -> tuple[np.ndarray, np.ndarray]:
    """A band around an expectation, from how far it was off before; nan until there is enough of that."""
    memory = (MEMORY_WEEKS if calendar.day < calendar.week else MEMORY_SEASONS) * calendar.week
    usual = pd.Series(np.abs(y)).shift(1).rolling(memory, min_periods=1).mean().to_numpy()
    unit = np.sqrt(np.maximum(np.abs(expected), LEVEL_SHARE * usual))
    unit[unit == 0] = 1.0  # a series that was always zero
    half = THRESHOLD * np.maximum(_scale((y - expected) / unit, memory, calendar) * unit, LEAST_CHANGE * usual)
    half[half == 0] = np.finfo(float).tiny
    is_unknown = np.isnan(expected) | np.isnan(half)
    return np.where(is_unknown, np.nan, expected), np.where(is_unknown, np.nan, half)


def _expected(y: np.ndarray, season: int, count: int, least: int, calendar: _Calendar) -> np.ndarray:
    """The shape of the last `count` seasons at the level of the last day, each season's own level taken out before.

    Shapes are factors, or distances once the series was negative.
    """
    level = pd.Series(y).rolling(season, min_periods=season // 2).mean().to_numpy()
    factor = np.divide(y, level, out=y * 0.0, where=level != 0)
    shape = _median_of_lags(factor, season, count, least)
    expected = shape * np.nan_to_num(_lately(y / np.where(shape > 0, shape, np.nan), calendar))
    expected[np.isnan(_lately(y - shape, calendar))] = np.nan  # the level of the last day is not known
    if (y < 0).any():
        shape = _median_of_lags(y - level, season, count, least)
        expected = np.where(_was_negative(y), shape + _lately(y - shape, calendar), expected)
    return expected


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


def _was_negative(y: np.ndarray) -> np.ndarray:
    """Whether any value before was below zero: else none is expected to be."""
    return pd.Series(y).shift(1).cummin().to_numpy() < 0


def _lately(values: np.ndarray, calendar: _Calendar) -> np.ndarray:
    """The median over the day before each point; nan with less than a quarter of a day."""
    least = max(2, calendar.day // 4)
    return pd.Series(values).shift(1).rolling(calendar.day, min_periods=least).median().to_numpy()


def _scale(deviation: np.ndarray, memory: int, calendar: _Calendar) -> np.ndarray:
    """The usual size of past deviations: the larger of what their median and 98th percentile say of a normal one.

    The percentile keeps series that mostly stand still, and now and then move, from alarming at every move.
    """
    least = max(4, min(3 * calendar.day, calendar.week // 2))
    size = pd.Series(np.abs(deviation)).shift(1).rolling(memory, min_periods=least)
    return np.maximum(1.4826 * size.median(), size.quantile(0.98) / 2.326).to_numpy()


def _alerts(is_out: np.ndarray, rest: int) -> np.ndarray:
    """The first point outside the band and those right after it; then none until `rest` steps after the first."""
    alerts = np.zeros(len(is_out), dtype=bool)
    armed_from = 0
    for place in np.flatnonzero(is_out):
        is_continued = place > 0 and alerts[place - 1]
        if is_continued or place >= armed_from:
            alerts[place] = True
            armed_from = armed_from if is_continued else place + rest
    return alerts
