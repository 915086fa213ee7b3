"""Detection: what is found, what is left alone, and that nobody looks ahead."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import anomaly
from ml.anomaly import trials

WEEK = 168


def hourly(y: np.ndarray, name: str = "s") -> pd.DataFrame:
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range("2025-01-06", periods=len(y), freq="h"), "y": y})


def counts(weeks: int, seed: int = 0, level: float = 200) -> np.ndarray:
    """Poisson counts with a rhythm of the day and quieter weekends."""
    hours = np.arange(weeks * WEEK)
    rhythm = (1 + 0.8 * np.sin(2 * np.pi * (hours % 24 - 8) / 24)) * np.where(hours // 24 % 7 >= 5, 0.6, 1.0)
    return np.random.default_rng(seed).poisson(level * rhythm).astype(float)


def alerts(judged: pd.DataFrame) -> int:
    """How often something was told: runs of anomalies."""
    flags = judged["is_anomaly"].to_numpy()
    return int((flags & ~np.r_[False, flags[:-1]]).sum())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9 * WEEK - 2), st.floats(-1e6, 1e6), st.integers(0, 5), st.booleans())
def test_the_future_changes_no_verdict_on_the_past(last, value, seed, can_be_negative):
    y = counts(9, seed) - (200 if can_be_negative else 0)
    changed = y.copy()
    changed[last + 1 :] = np.where(np.arange(len(y) - last - 1) % 3, value, changed[last + 1 :])
    before, after = anomaly.detect(hourly(y)), anomaly.detect(hourly(changed))
    pd.testing.assert_frame_equal(before.iloc[: last + 1], after.iloc[: last + 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(3 * WEEK, 9 * WEEK - 1), st.floats(-1e6, 1e6), st.integers(0, 5))
def test_a_value_does_not_move_the_band_that_it_is_judged_by(place, value, seed):
    y = counts(9, seed)
    changed = y.copy()
    changed[place] = value
    band = ["expected", "lo", "hi"]
    before, after = anomaly.detect(hourly(y))[band], anomaly.detect(hourly(changed))[band]
    pd.testing.assert_series_equal(before.iloc[place], after.iloc[place])


def test_more_history_to_come_changes_no_verdict():
    y = counts(9)
    whole, part = anomaly.detect(hourly(y), "h"), anomaly.detect(hourly(y[: 6 * WEEK]), "h")
    pd.testing.assert_frame_equal(whole.iloc[: 6 * WEEK], part)


@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_an_outage_and_a_rush_are_found_in_their_first_hour(factor):
    y = counts(9)
    start = 7 * WEEK + 2 * 24 + 12  # a Wednesday noon
    y[start : start + 4] *= factor
    judged = anomaly.detect(hourly(y))
    assert judged["is_anomaly"].iloc[start] and judged["score"].iloc[start] > 0.5
    row = judged.iloc[start]
    assert y[start] < row["lo"] if factor < 1 else y[start] > row["hi"]
    assert row["expected"] == pytest.approx(200 * (1 + 0.8 * np.sin(np.pi / 3)), rel=0.15)
    assert alerts(judged.iloc[start - 24 : start + 48]) == 1


def test_scores_agree_with_bands():
    judged = anomaly.detect(hourly(counts(9)))
    known = judged["expected"].notna()
    y = counts(9)
    is_out = (y < judged["lo"]) | (y > judged["hi"])
    assert (is_out[known] == (judged["score"] > 0.5)[known]).all()
    assert judged["score"].between(0, 1).all()
    assert not judged.loc[~known, "is_anomaly"].any() and (judged.loc[~known, "score"] == 0).all()
    assert known.sum() > 8 * WEEK - 24  # after a week there is a verdict on each hour


@pytest.mark.parametrize(
    "y",
    [
        np.full(8 * WEEK, 42.0),
        np.zeros(8 * WEEK),
        np.linspace(100, 300, 8 * WEEK),
        50 + 20 * np.sin(2 * np.pi * np.arange(8 * WEEK) / 24),
        100 + np.arange(8 * WEEK) / 5 + 30 * np.sin(2 * np.pi * np.arange(8 * WEEK) / WEEK),
    ],
    ids=["constant", "zero", "trend", "daily wave", "weekly wave on a trend"],
)
def test_series_without_surprises_raise_no_alarm(y):
    assert alerts(anomaly.detect(hourly(y))) == 0


def test_false_alarms_on_plain_counts_are_rare():
    series = pd.concat(
        [hourly(counts(13, seed, level), f"{level}-{seed}") for seed in range(4) for level in (5, 50, 500)]
    )
    told = sum(alerts(one) for _, one in anomaly.detect(series).groupby("unique_id"))
    assert told / (12 * 12) < 0.25  # a series and week


@pytest.mark.parametrize("factor", [0.5, 1.6, 3.0])
def test_a_level_shift_is_told_once_and_becomes_normal(factor):
    y = counts(10)
    shift = 7 * WEEK + 3 * 24 + 10
    y[shift:] *= factor
    judged = anomaly.detect(hourly(y))
    assert alerts(judged.iloc[:shift]) == 0
    assert alerts(judged.iloc[shift:]) == 1
    later = judged.iloc[shift + 2 * 24 :]
    assert np.median(later["expected"] / y[shift + 2 * 24 :]) == pytest.approx(1.0, abs=0.1)


def test_a_second_incident_a_week_later_is_told_again():
    y = counts(10)
    for start in (7 * WEEK + 60, 8 * WEEK + 60):
        y[start : start + 3] = 0
    assert alerts(anomaly.detect(hourly(y))) == 2


def test_missing_hours_are_not_judged_and_do_no_harm():
    series = hourly(counts(9)).drop(index=range(5 * WEEK, 5 * WEEK + 30))
    judged = anomaly.detect(series, "h")
    assert len(judged) == len(series)
    assert alerts(judged) == 0


def test_each_series_is_judged_by_itself():
    one, two = hourly(counts(6, 1), "one"), hourly(counts(6, 2, level=5), "two")
    both = anomaly.detect(pd.concat([two, one]))
    pd.testing.assert_frame_equal(both[both["unique_id"] == "one"].reset_index(drop=True), anomaly.detect(one))


def test_planted_anomalies_are_found_better_than_by_three_sigma():
    series = pd.concat([hourly(counts(12, seed), f"s{seed}") for seed in range(5)])
    planted, truth = trials.inject(series, seed=2)
    own = trials.score_alerts(anomaly.detect(planted), truth)
    plain = trials.score_alerts(trials.trailing_sigma(planted), truth)
    assert own["precision"] >= 0.8 and own["recall"] >= 0.7
    assert own["f1"] > plain["f1"]


def test_alerts_are_scored_by_runs_and_spans():
    ds = pd.date_range("2025-01-01", periods=8, freq="h")
    flags = [False, True, True, False, False, True, False, True]  # runs: 1-2, 5 and 7
    judged = pd.DataFrame({"unique_id": "s", "ds": ds, "is_anomaly": flags})
    truth = pd.DataFrame({"unique_id": "s", "start": ds[[2, 4]], "end": ds[[3, 4]]})  # 2-3 is found, 4 is not
    told = trials.score_alerts(judged, truth)
    assert told == pytest.approx({"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "false_alarms": 2})


def test_infinities_and_doubles_are_refused():
    series = hourly(counts(1))
    with pytest.raises(ValueError, match="infinite"):
        anomaly.detect(series.assign(y=np.inf))
    with pytest.raises(ValueError, match="twice"):
        anomaly.detect(pd.concat([series, series]))
