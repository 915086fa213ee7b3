"""Forecasts: what they promise for good, short, broken and zoned series."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ml import forecast


def daily(y: np.ndarray, name: str = "s", start: str = "2025-01-06") -> pd.DataFrame:
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range(start, periods=len(y)), "y": y})


def weekly_rhythm(length: int, seed: int = 0, noise: float = 5.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    week = np.array([100, 120, 90, 110, 130, 60, 50.0])
    return week[np.arange(length) % 7] + random.normal(0, noise, length)


def test_a_weekly_rhythm_is_continued_within_its_noise():
    y = weekly_rhythm(118)
    told = forecast.forecast(daily(y[:90]), 28, "D")
    assert list(told) == ["unique_id", "ds", "yhat", "lo_80", "hi_80", "lo_95", "hi_95", "model"]
    assert told["ds"].tolist() == list(pd.date_range("2025-01-06", periods=118)[90:])
    assert np.abs(told["yhat"] - y[90:]).mean() < 7
    assert (told["lo_95"] <= told["lo_80"]).all() and (told["lo_80"] <= told["yhat"]).all()
    assert (told["yhat"] <= told["hi_80"]).all() and (told["hi_80"] <= told["hi_95"]).all()
    widths = (told["hi_95"] - told["lo_95"]).to_numpy()
    assert (np.diff(widths) >= -1e-9).all()


def test_the_same_data_gives_the_same_bytes():
    series = pd.concat([daily(weekly_rhythm(60, seed), f"s{seed}") for seed in range(3)])
    first, second = (forecast.forecast(series, 7, "D").to_csv() for _ in range(2))
    assert first == second


def test_what_was_fitted_forecasts_a_history_that_has_grown():
    y = weekly_rhythm(100)
    learned = forecast.fit(daily(y[:90]), 14, "D")
    told = forecast.predict(learned, daily(y[:93]))
    assert told["ds"].iloc[0] == pd.Timestamp("2025-01-06") + pd.Timedelta(days=93)
    assert len(told) == 14


def test_intervals_hold_what_they_claim_over_many_series():
    """Near the level, not just above it."""
    series = pd.concat([daily(weekly_rhythm(90, seed), f"s{seed:02}") for seed in range(8)])
    scored = forecast.backtest(series, 14, "D", windows=2)
    mixed = scored[scored["model"] == forecast.COMBINATION]
    assert 0.70 <= mixed["coverage_80"].mean() <= 0.92
    assert 0.90 <= mixed["coverage_95"].mean() <= 1.0


def test_a_series_never_negative_is_never_forecast_below_zero():
    random = np.random.default_rng(5)
    rare = daily(random.poisson(0.2, 80).astype(float), "rare")
    told = forecast.forecast(pd.concat([rare, daily(random.poisson(0.7, 80).astype(float))]), 14, "D")
    assert (told[["yhat", "lo_80", "lo_95"]] >= 0).all(axis=None)
    below = forecast.forecast(daily(random.normal(-50, 5, 80)), 14, "D")
    assert (below["yhat"] < 0).all()


def test_gaps_are_not_zeros():
    y = weekly_rhythm(90, noise=1.0)
    holes = daily(y).drop(index=[10, 11, 12, 30, 44, 45, 80])
    with_nulls = daily(np.where(np.isin(np.arange(90), [10, 11, 12, 30, 44, 45, 80]), np.nan, y))
    told = forecast.forecast(holes, 7, "D")
    assert np.abs(told["yhat"] - weekly_rhythm(97, noise=1.0)[90:]).max() < 6
    pd.testing.assert_frame_equal(told, forecast.forecast(with_nulls, 7, "D"))


@pytest.mark.parametrize("length", [2, 5, 13])
def test_a_short_history_is_said_and_widens(length):
    y = weekly_rhythm(length, noise=5.0)
    told = forecast.forecast(daily(y), 14, "D")
    long = forecast.forecast(daily(weekly_rhythm(120, noise=5.0)), 14, "D")
    assert told["model"].str.contains("short history").all()
    assert np.isfinite(told[["yhat", "lo_95", "hi_95"]]).all(axis=None)
    assert (told["hi_95"] - told["lo_95"]).mean() > 1.5 * (long["hi_95"] - long["lo_95"]).mean()


def test_constant_and_zero_series():
    flat = forecast.forecast(daily(np.full(60, 7.0)), 7, "D")
    assert flat["yhat"].to_numpy() == pytest.approx(np.full(7, 7.0))
    zero = forecast.forecast(daily(np.zeros(60)), 7, "D")
    assert zero["yhat"].to_numpy() == pytest.approx(np.zeros(7), abs=1e-9)


@pytest.mark.parametrize(("freq", "season", "length"), [("h", 24, 600), ("W", 52, 200), ("MS", 12, 90), ("QE", 4, 40)])
def test_every_frequency_is_continued(freq, season, length):
    random = np.random.default_rng(1)
    turn = 2 * np.pi * np.arange(length + season) / season
    y = 100 + 30 * np.sin(turn) + random.normal(0, 3, len(turn))
    ds = pd.date_range("2020-01-01", periods=length, freq=freq)
    told = forecast.forecast(pd.DataFrame({"unique_id": "s", "ds": ds, "y": y[:length]}), season, freq)
    assert np.abs(told["yhat"] - y[length:]).mean() < 6
    assert told["ds"].iloc[0] == pd.date_range(ds[-1], periods=2, freq=freq)[1]


@pytest.mark.parametrize(
    ("y", "ds", "says"),
    [
        ([1.0, np.inf, 2.0], None, "beyond"),
        ([1.0, 1e300, 2.0], None, "beyond"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-02", "9999-01-01"], "outside"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-01", "2025-01-02"], "twice"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-02", "2025-01-03 05:00"], "no steps"),
        ([1.0, np.nan, np.nan], None, "at least two"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_a_sentence(y, ds, says):
    times = pd.to_datetime(ds, format="mixed") if ds else pd.date_range("2025-01-01", periods=len(y))
    with pytest.raises(ValueError, match=says):
        forecast.forecast(pd.DataFrame({"unique_id": "s", "ds": times, "y": y}), 3, "D")


def test_unknown_frequencies_and_empty_horizons_are_refused():
    with pytest.raises(ValueError, match="not known"):
        forecast.forecast(daily(weekly_rhythm(30)), 3, "2D")
    with pytest.raises(ValueError, match="at least one step"):
        forecast.forecast(daily(weekly_rhythm(30)), 0, "D")


@pytest.mark.parametrize(("last", "hours"), [("2025-03-29 23:00", 23), ("2025-10-25 23:00", 25)])
def test_a_day_of_23_or_25_hours_follows_the_clock_on_the_wall(last, hours):
    """Load depends on the local hour, before and after the change of clocks; the forecast's hours are real ones."""
    ds = pd.date_range(end=pd.Timestamp(last, tz="Europe/Berlin"), periods=24 * 40, freq="h")
    ahead = pd.date_range(ds[-1], periods=49, freq="h")[1:]

    def load(moments: pd.DatetimeIndex) -> np.ndarray:
        return 100.0 + 10.0 * moments.hour.to_numpy() + 0.01 * np.sin(np.arange(len(moments)))

    told = forecast.forecast(pd.DataFrame({"unique_id": "s", "ds": ds, "y": load(ds)}), 48, "h")
    assert told["ds"].tolist() == list(ahead)
    assert (told["ds"].dt.date == ahead[0].date()).sum() == hours
    assert np.abs(told["yhat"] - load(ahead)).max() < 5


def test_a_history_across_a_change_of_clocks_has_no_double_or_missing_hour():
    parts = []
    for name, begin in (("spring", "2025-03-18"), ("autumn", "2025-10-14")):
        ds = pd.date_range(begin, periods=24 * 21, freq="h", tz="Europe/Berlin")
        parts.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": 50.0 + ds.hour.to_numpy()}))
    told = forecast.forecast(pd.concat(parts), 24, "h")
    assert told["yhat"].to_numpy() == pytest.approx(50.0 + told["ds"].dt.hour.to_numpy(), abs=1)


def test_importing_ml_brings_no_heavy_library():
    heavy = "prophet", "sklearn", "statsforecast", "lightgbm", "scipy", "holidays"
    code = f"import sys, ml.forecast; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
