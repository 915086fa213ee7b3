"""The parts of a forecast: honest origins, weights, intervals, known events, sums that add up."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import forecast
from ml.forecast import events, intervals, members, series, trials
from ml.forecast.trials import Trial


def daily(y: np.ndarray, name: str = "s", start: str = "2025-01-06") -> pd.DataFrame:
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range(start, periods=len(y)), "y": y})


def rhythm(length: int, seed: int = 0) -> np.ndarray:
    week = np.array([100, 120, 90, 110, 130, 60, 50.0])
    return week[np.arange(length) % 7] + np.random.default_rng(seed).normal(0, 5, length)


# Members -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-3, 3) | st.floats(-1e9, 1e9), min_size=2, max_size=12))
@settings(max_examples=settings.default.max_examples // 5)
def test_a_member_is_not_asked_where_there_is_too_little_for_it(values):
    """statsforecast would tell that by a bare exception."""
    told = members.local_paths(np.array(values, dtype=float), 1, 3, members.LOCAL)
    assert all(len(path) == 3 for path in told.values())


def test_as_few_values_as_a_member_needs():
    y = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    told = {count: set(members.local_paths(y[:count], 1, 2, members.LOCAL)) for count in (3, 4, 5, 7)}
    assert told == {
        3: {"SeasonalNaive"},
        4: {"SeasonalNaive", "Theta"},
        5: {"SeasonalNaive", "Theta", "CES"},
        7: {"SeasonalNaive", "Theta", "CES", "ETS"},
    }


# Past origins --------------------------------------------------------------------------------------------------------


def test_a_past_origin_knows_nothing_of_what_came_after_it():
    """Changing what happened after the newest origin changes nothing that was said, weighed or tried before it."""
    names, cut = ["a", "b", "c"], 126
    y = {name: rhythm(140, seed) for seed, name in enumerate(names)}
    other = {name: np.concatenate([values[:cut], values[cut:] * 3 + 1000]) for name, values in y.items()}
    told, weights = [], []
    for some in (y, other):
        many = series.split(pd.concat([daily(values, name) for name, values in some.items()]), "D")
        many = events.attach(many, 14, None, None)
        tried = trials.try_all(many, 14, windows=1)
        assert tried["a"][0].origin == cut
        told.append([trial.predicted for name in names for trial in tried[name]])
        past = trials.known_before(tried, dict.fromkeys(names, cut))
        weights.append([trials.weigh(past[name], trials.record(past)) for name in names])
    for before, after in zip(*told, strict=True):
        assert before.keys() == after.keys() and {"Boosting", "Linear"} <= before.keys()
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
    assert weights[0] == weights[1]


def test_what_is_known_at_an_origin_ends_there():
    trial = Trial(10, np.arange(5.0), {"a": np.zeros(5)})
    later = Trial(13, np.arange(5.0), {"a": np.zeros(5)})
    known = trials.known_before({"s": [later, trial]}, {"s": 13})
    assert [one.origin for one in known["s"]] == [10]
    assert known["s"][0].actual.tolist() == [0.0, 1.0, 2.0]


# Weights -------------------------------------------------------------------------------------------------------------


def test_weights_follow_the_cube_of_past_errors():
    trial = Trial(10, np.array([10.0, 10.0]), {"a": np.array([11.0, 11.0]), "b": np.array([12.0, 12.0])})
    alone = trials.record({"s": [trial]})
    assert trials.weigh([trial], alone) == pytest.approx({"a": 8 / 9, "b": 1 / 9})  # errors 1 and 2: 1 to 1/8


def test_a_members_record_on_all_series_counts_as_one_origin():
    close = Trial(10, np.array([10.0]), {"a": np.array([11.0]), "b": np.array([11.0])})
    weights = trials.weigh([close], {"a": -np.log(2) / 2, "b": np.log(2) / 2})  # elsewhere a errs half as much
    assert weights["a"] / weights["b"] == pytest.approx(2 ** (3 / 2))  # half of the way, on the scale of logs


def test_a_member_that_was_never_wrong_is_believed():
    trial = Trial(10, np.array([10.0]), {"a": np.array([10.0]), "b": np.array([12.0])})
    assert trials.weigh([trial], {}) == {"a": 1.0}


def test_members_that_did_not_speak_at_every_origin_have_no_weight():
    first = Trial(10, np.array([10.0]), {"a": np.array([11.0]), "b": np.array([10.0])})
    second = Trial(11, np.array([10.0]), {"a": np.array([11.0])})
    assert trials.weigh([first, second], {}) == {"a": 1.0}


# Intervals -----------------------------------------------------------------------------------------------------------


def test_the_conformal_quantile_counts_the_next_value_in():
    values, even = (
        np.arange(1.0, 100.0),
        np.ones(1),
    )  # 99 of them: the 80th is passed by the next one in 20 of 100 cases
    assert intervals._conformal_quantile(values, even, 0.8) == 80.0
    assert intervals._conformal_quantile(values[:5], even, 0.95) == 1.5 * 5
    twice = np.array([1.0, 2.0])  # half of the coming origins are twice as hard
    assert intervals._conformal_quantile(np.ones(99), twice, 0.4) == 1.0
    assert intervals._conformal_quantile(np.ones(99), twice, 0.8) == 2.0


@pytest.mark.parametrize("noise", ["normal", "laplace"])
def test_pooled_intervals_cover_what_they_claim(noise):
    """Sixty series of unlike scale and noise of known form: the share covered is the level, within five points."""
    random = np.random.default_rng(3)
    horizon, tried, truth, many = 12, {}, {}, []
    for name in map(str, range(60)):
        y = getattr(random, noise)(0, np.exp(random.normal(0, 1)), 132)
        origins = (108, 96, 84)
        tried[name] = [Trial(origin, y[origin : origin + 12], {"a": np.zeros(horizon)}) for origin in origins]
        many += series.split(daily(y[:120], name), "D")
        truth[name] = y[120:]
    widths = intervals.calibrate(many, tried, lambda _: {"a": 1.0}, horizon, (80, 95))
    for level in (80, 95):
        covered = [np.abs(truth[name]) <= spread * reach[level] for name, (spread, reach) in widths.items()]
        assert np.mean(covered) == pytest.approx(level / 100, abs=0.05)


def test_a_hard_month_among_the_few_origins_does_not_widen_what_follows():
    """All series were ten times as noisy at one of three origins, and of twelve: few coming ones are so hard."""
    random = np.random.default_rng(4)
    tried, many, horizon = {}, [], 7
    for name in map(str, range(20)):
        y = random.normal(100, 1, 140)
        y[126:133] += random.normal(0, 10, 7)
        origins = (133, 126, 119)
        tried[name] = [Trial(origin, y[origin : origin + 7], {"a": np.full(7, 100.0)}) for origin in origins]
        many += series.split(daily(y, name), "D")
    widths = intervals.calibrate(many, tried, lambda _: {"a": 1.0}, horizon, (80,))
    half = np.median([spread * reach[80].mean() for spread, reach in widths.values()])
    assert 1.28 * 0.8 < half < 1.28 * 1.6  # the usual noise is 1, and 80 % of it lie within 1.28


# Known events --------------------------------------------------------------------------------------------------------


def test_a_promotion_announced_is_forecast_with_what_promotions_did_before():
    y, days = rhythm(140), pd.date_range("2025-01-06", periods=140)
    promoted = [20, 41, 62, 83, 104, 130]
    y[promoted] *= 1.5
    known = pd.DataFrame({"ds": days[promoted], "promotion": 1.0})
    with_it = forecast.forecast(daily(y[:120]), 14, "D", known=known)
    without = forecast.forecast(daily(y[:120]), 14, "D", known=known[known["ds"] < days[120]])
    lift = (with_it["yhat"] / without["yhat"]).to_numpy()
    assert lift[10] == pytest.approx(1.5, abs=0.15)
    assert np.delete(lift, 10) == pytest.approx(np.ones(13), abs=1e-9)


def test_public_holidays_of_a_country_are_known_ahead():
    """A year with closed holidays: Christmas is forecast closed where the country is told."""
    import holidays

    ds = pd.date_range("2023-01-02", "2024-12-20")
    closed = holidays.country_holidays("DE", years=[2023, 2024])
    y = np.where([day in closed for day in ds.date], 2.0, rhythm(len(ds)))
    frame = pd.DataFrame({"unique_id": "s", "ds": ds, "y": y})
    at = pd.Timestamp("2024-12-25")
    told = forecast.forecast(frame, 10, "D", country="DE").set_index("ds")["yhat"]
    assert told[at] < 30 and told[pd.Timestamp("2024-12-23")] > 80
    with pytest.raises(ValueError, match="ISO 3166"):
        forecast.forecast(frame, 10, "D", country="Atlantis")


def test_what_an_event_did_is_not_learned_from_the_future():
    y = rhythm(100)
    known = pd.DataFrame({"ds": pd.date_range("2025-01-06", periods=100)[[30, 60, 95]], "release": 1.0})
    for lift in (1.0, 5.0):
        y[95] = 100 * lift
        one = events.attach(series.split(daily(y), "D"), 14, None, known)[0]
        past, effect = events.taken_out(one.until(86), 14)
        told = past.y, effect.future
        if lift == 1.0:
            first = told
    np.testing.assert_array_equal(first[0], told[0])
    np.testing.assert_array_equal(first[1], told[1])


# Sums ----------------------------------------------------------------------------------------------------------------


def told(yhat: dict[str, list[float]], half: dict[str, float]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {"unique_id": n, "ds": pd.date_range("2025-01-01", periods=len(v)), "yhat": v, "model": "m"}
        ).assign(**{"lo_80": np.array(v) - half[n], "hi_80": np.array(v) + half[n]})
        for n, v in yhat.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_the_less_certain_gives_way():
    frame = told({"shop": [13.0], "a": [4.0], "b": [6.0]}, {"shop": 1.0, "a": 1.0, "b": 1.0})
    settled = forecast.reconcile(frame, {"shop": ["a", "b"]}).set_index("unique_id")["yhat"]
    assert settled.to_dict() == pytest.approx({"shop": 12.0, "a": 5.0, "b": 7.0})  # the gap of 3, shared by three
    frame = told({"shop": [13.0], "a": [4.0], "b": [6.0]}, {"shop": 1e-4, "a": 1.0, "b": 1e-4})
    settled = forecast.reconcile(frame, {"shop": ["a", "b"]}).set_index("unique_id")["yhat"]
    assert settled.to_dict() == pytest.approx({"shop": 13.0, "a": 7.0, "b": 6.0}, abs=1e-3)


@given(st.lists(st.floats(0, 1e6), min_size=7, max_size=7), st.lists(st.floats(0.1, 100), min_size=7, max_size=7))
def test_parts_always_add_up_and_nothing_goes_below_zero(yhat, half):
    names = ["shop", "books", "toys", "novel", "atlas", "kite", "drum"]
    hierarchy = {"shop": ["books", "toys"], "books": ["novel", "atlas"], "toys": ["kite", "drum"]}
    frame = told({n: [v] for n, v in zip(names, yhat, strict=True)}, dict(zip(names, half, strict=True)))
    settled = forecast.reconcile(frame, hierarchy).set_index("unique_id")
    for whole, parts in hierarchy.items():
        assert settled.loc[whole, "yhat"] == pytest.approx(settled.loc[parts, "yhat"].sum(), rel=1e-9, abs=1e-6)
    assert (settled[["yhat", "lo_80"]] >= 0).all(axis=None)
    assert (settled["lo_80"] <= settled["yhat"] + 1e-9).all() and (settled["yhat"] <= settled["hi_80"] + 1e-9).all()


def test_what_cannot_add_up_is_refused():
    frame = told({"shop": [13.0], "a": [4.0]}, {"shop": 1.0, "a": 1.0})
    with pytest.raises(ValueError, match="b is in the hierarchy and has no forecast"):
        forecast.reconcile(frame, {"shop": ["a", "b"]})
    with pytest.raises(ValueError, match="part of itself"):
        forecast.reconcile(frame, {"shop": ["a"], "a": ["shop"]})


def test_a_hierarchy_is_forecast_to_add_up():
    parts = {name: rhythm(70, seed) for seed, name in enumerate("ab")}
    frame = pd.concat([daily(y, name) for name, y in {**parts, "all": parts["a"] + parts["b"]}.items()])
    table = forecast.forecast(frame, 7, "D", hierarchy={"all": ["a", "b"]}).pivot(
        index="ds", columns="unique_id", values="yhat"
    )
    assert table["all"].to_numpy() == pytest.approx((table["a"] + table["b"]).to_numpy())
