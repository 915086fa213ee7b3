"""Forecasts: what they promise for good, short, broken and real series."""

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
    series = daily(weekly_rhythm(60))
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
    told = forecast.forecast(daily(random.poisson(0.7, 80).astype(float)), 14, "D")
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


@pytest.mark.parametrize(
    ("y", "ds", "says"),
    [
        ([1.0, np.inf, 2.0], None, "beyond"),
        ([1.0, 1e300, 2.0], None, "beyond"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-02", "9999-01-01"], "outside"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-01", "2025-01-02"], "twice"),
        ([1.0, 2.0, 3.0], ["2025-01-01", "2025-01-02 05:00", "2025-01-03"], "no steps"),
        ([1.0, np.nan, np.nan], None, "at least two"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_a_sentence(y, ds, says):
    times = pd.to_datetime(ds, format="mixed") if ds else pd.date_range("2025-01-01", periods=len(y))
    with pytest.raises(ValueError, match=says):
        forecast.forecast(pd.DataFrame({"unique_id": "s", "ds": times, "y": y}), 3, "D")


def test_time_zones_and_unknown_frequencies_are_refused():
    zoned = daily(weekly_rhythm(30)).assign(ds=pd.date_range("2025-01-01", periods=30, tz="Europe/Berlin"))
    with pytest.raises(ValueError, match="time zone"):
        forecast.forecast(zoned, 3, "D")
    with pytest.raises(ValueError, match="not known"):
        forecast.forecast(daily(weekly_rhythm(30)), 3, "2D")
    with pytest.raises(ValueError, match="at least one step"):
        forecast.forecast(daily(weekly_rhythm(30)), 0, "D")


def test_weights_follow_the_cube_of_past_errors():
    trial = forecast._Trial(10, np.array([10.0, 10.0]), {"a": np.array([11.0, 11.0]), "b": np.array([12.0, 12.0])})
    weights = forecast._weigh([trial], ["a", "b"])
    assert weights == pytest.approx({"a": 8 / 9, "b": 1 / 9})  # errors 1 and 2: 1 to 1/8
    assert forecast._weigh([], ["a", "b"]) == {"a": 0.5, "b": 0.5}


def test_a_past_origin_knows_nothing_of_what_came_after_it():
    """Changing the last window's truth changes its scores, and no score of the window before."""
    y = weekly_rhythm(120)
    series, changed = daily(y), daily(np.concatenate([y[:106], y[106:] + 1000]))
    many, others = forecast._split(series, "D"), forecast._split(changed, "D")
    trials, other = (forecast._all_trials(some, 14, 6)["s"] for some in (many, others))
    for before, after in zip(trials, other, strict=True):
        for name in before.predicted:
            np.testing.assert_array_equal(before.predicted[name], after.predicted[name])
    known = forecast._known_before(trials, trials[0].origin)
    known_other = forecast._known_before(other, other[0].origin)
    assert forecast._weigh(known, forecast.ROSTER) == forecast._weigh(known_other, forecast.ROSTER)


def test_on_real_series_the_combination_earns_its_place(data):
    """Cash machines (6 of NN5) and Prophet's own examples: never 2 % worse than Prophet, better than the baseline."""
    polars = pytest.importorskip("polars")
    cash = polars.read_parquet(data / "nn5-daily" / "nn5_daily.parquet").to_dict(as_series=False)
    cash = pd.DataFrame(cash)
    some = cash[cash["unique_id"].isin(cash["unique_id"].unique()[::10])]
    air = pd.read_csv(data / "prophet-examples" / "example_air_passengers.csv.gz").assign(unique_id="air")
    shop = pd.read_csv(data / "prophet-examples" / "example_retail_sales.csv.gz").assign(unique_id="shop")
    for series, horizon, freq, windows in ((some, 56, "D", 1), (pd.concat([air, shop]), 12, "MS", 3)):
        scored = forecast.backtest(series, horizon, freq, windows).groupby("model")["mase"].mean()
        assert scored[forecast.COMBINATION] <= 1.02 * scored["Prophet"]
        assert scored[forecast.COMBINATION] < scored[forecast.BASELINE]
