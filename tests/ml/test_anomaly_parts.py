"""What a change consists of, who behaves unusually, and series finer than half an hour."""

import numpy as np
import pandas as pd
import pytest

from ml import anomaly
from ml.anomaly import behaviour, explain, stream, trials


def values(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["segment", "value", "expected"])


def test_the_segment_whose_scaling_explains_most_comes_first():
    """DE lost half of 200: 100 log(1/2) - 100 + 200 = 30.7. Mobile holds most of the whole and lost a tenth: 4.8."""
    told = explain.segments(
        values(("all", 900, 1000), ("country=DE", 100, 200), ("country=FR", 800, 800), ("device=mobile", 810, 900))
    )
    assert list(told["segment"]) == ["country=DE", "device=mobile"]  # France did not move
    assert told["gain"].tolist() == pytest.approx([30.685, 4.656], abs=0.01)
    assert told["change_rate"].tolist() == pytest.approx([-0.5, -0.1])
    assert told["share"].tolist() == pytest.approx([1.0, 0.9])


def test_a_segment_from_nothing_and_one_against_the_trend():
    told = explain.segments(values(("all", 150, 100), ("c=new", 80, 0), ("c=old", 70, 100)))
    assert list(told["segment"]) == ["c=new"] and np.isinf(told["change_rate"][0])
    with pytest.raises(ValueError, match="segment all"):
        explain.segments(values(("c=new", 80, 0)))


def test_several_wholes_are_explained_at_once_each_as_if_alone():
    random = np.random.default_rng(2)
    wholes = {}
    for name in "xyz":
        parts = [(f"c={place}", int(random.poisson(90)), 100) for place in range(6)]
        wholes[name] = values(("all", sum(part[1] for part in parts), 600), *parts)
    together = pd.concat([one.assign(metric=name) for name, one in wholes.items()], ignore_index=True)
    told = explain.segments(together, 2, ["metric"])
    for name, one in wholes.items():
        alone = explain.segments(one, 2)
        pd.testing.assert_frame_equal(told[told["metric"] == name][alone.columns].reset_index(drop=True), alone)


@pytest.mark.parametrize(("drop", "least"), [(0.5, 0.85), (0.3, 0.65)])
def test_the_true_slice_is_among_the_first_three(drop, least):
    assert trials.root_causes(drop, 100, seed=1) >= least


def test_what_moved_along_is_told_by_effect():
    judged = pd.DataFrame(
        {
            "unique_id": ["a", "b", "c", "d", "b"],
            "ds": pd.to_datetime(["2026-01-01"] * 4 + ["2026-01-02"]),
            "expected": 1.0,
            "direction": "up",
            "effect_size": [9.0, -4.0, 2.9, 5.0, 99.0],
            "is_anomaly": [True, False, False, False, True],
        }
    )
    told = explain.moved_along(judged)
    assert list(told["unique_id"]) == ["a", "a"] and list(told["other"]) == ["d", "b"]  # b was alone on the second day
    assert list(explain.moved_along(judged, most=1)["other"]) == ["d"]


def test_unusual_behaviour_is_found_with_its_reason():
    random = np.random.default_rng(1)
    rows = pd.DataFrame(random.poisson(20, (400, 4)), columns=["visits", "orders", "returns", "votes"]).astype(float)
    rows.loc[7, ["visits", "returns"]] = [21, 900]
    rows.loc[8, :] = [0, 0, 0, 3000]
    rows.loc[9, "votes"] = np.nan  # not known is not unusual
    told = behaviour.unusual(rows)
    assert {7, 8} <= set(told["score"].nlargest(3).index) and told.loc[8, "is_anomaly"]
    assert told["is_anomaly"].mean() < 0.02 and told["score"].between(0, 1).all() and not told.loc[9, "is_anomaly"]
    reason = told.loc[7, "reasons"][0]
    assert reason["feature"] == "returns" and reason["value"] == 900 and 18 <= reason["usual"] <= 22
    with pytest.raises(ValueError, match="from 50 on"):
        behaviour.unusual(rows.head(10))


def minutes(y: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "s", "ds": pd.date_range("2026-01-05", periods=len(y), freq="5min"), "y": y})


def test_in_fine_steps_a_burst_is_told_and_the_past_keeps_its_verdicts():
    random = np.random.default_rng(3)
    y = 50 + 10 * np.sin(2 * np.pi * np.arange(2500) / 288) + random.normal(0, 1, 2500)
    y[2000:2012] += 25
    whole, part = anomaly.detect(minutes(y)), anomaly.detect(minutes(y[:2005]))
    pd.testing.assert_frame_equal(whole.iloc[:2005], part)
    assert whole["score"].iloc[2000:2003].max() > 0.5
    hit = whole.iloc[2000]
    assert hit["direction"] == "up" and hit["effect_size"] > 5 and y[2000] > hit["hi"]


def test_an_autoregression_learns_its_own_process():
    """y = 0.7 of the last value + 0.2 of the one before: one step ahead, only the noise (1) is left."""
    random = np.random.default_rng(4)
    noise, y = random.normal(0, 1, 6000), np.zeros(6000)
    for step in range(2, 6000):
        y[step] = 0.7 * y[step - 1] + 0.2 * y[step - 2] + noise[step]
    assert np.std((y - stream.autoregression(y))[3000:]) == pytest.approx(1.0, abs=0.03)
