"""Churn: probabilities that mean what they say, and reasons that add up to them."""

import lightgbm
import numpy as np
import pandas as pd
import pytest

from benchmarks.learning import churn as benchmark
from ml import churn

AT = pd.Timestamp("2026-03-01")


def people(count: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Days since last seen matter in a curve, orders in a line, noise not at all."""
    random = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "days": random.integers(0, 28, count).astype(float),
            "orders": random.poisson(1.0, count).astype(float),
            "score": np.where(random.random(count) < 0.3, np.nan, random.normal(70, 10, count)),
        },
        index=[f"u{number}" for number in range(count)],
    )
    logit = -2 + 3 / (1 + np.exp(-(features["days"] - 10))) - 0.8 * np.log1p(features["orders"])
    return features, (random.random(count) < 1 / (1 + np.exp(-logit))).astype(int)


def test_probabilities_are_calibrated_on_people_not_seen_before():
    features, labels = people(4000, 1)
    unseen, truth = people(4000, 2)
    told = churn.score(churn.train(features, labels, AT), unseen)
    assert list(told.index) == list(unseen.index)
    assert churn.scores.calibration_error(truth.to_numpy(), told["probability"].to_numpy()) < 0.03
    assert told["probability"].mean() == pytest.approx(truth.mean(), abs=0.02)  # no class weights


def test_reasons_add_up_to_the_log_odds():
    features, labels = people(1500, 3)
    model = churn.train(features, labels, AT)
    told = churn.score(model, features)
    sums = told["reasons"].map(lambda reasons: sum(reason["contribution"] for reason in reasons))
    np.testing.assert_allclose(1 / (1 + np.exp(-sums)), told["probability"], atol=1e-12)
    own = model.pipeline.decision_function(churn._signed_log(features))
    trees = lightgbm.Booster(model_str=model.trees).predict(features.to_numpy(), raw_score=True)
    np.testing.assert_allclose(told["probability"], 1 / (1 + np.exp(-(own + trees) / 2)), atol=1e-9)
    for reasons in told["reasons"].head(50):
        sizes = [abs(reason["contribution"]) for reason in reasons[:-1]]
        assert sizes == sorted(sizes, reverse=True) and reasons[-1]["feature"] == "base"


def test_the_strongest_reason_is_the_one_that_matters():
    features, labels = people(3000, 4)
    model = churn.train(features, labels, AT)
    gone = pd.DataFrame({"days": [27.0, 0.0], "orders": [1.0, 1.0], "score": [70.0, 70.0]})
    long_gone, just_seen = churn.score(model, gone)["reasons"]
    assert long_gone[0]["feature"] == "days" and long_gone[0]["contribution"] > 0.5
    assert just_seen[0]["feature"] == "days" and just_seen[0]["contribution"] < -0.5


def test_a_value_far_outside_is_not_extrapolated():
    features, labels = people(2000, 5)
    model = churn.train(features, labels, AT)
    edge, beyond = churn.score(model, pd.DataFrame({"days": [27.0, 5000.0], "orders": 1.0, "score": 70.0}))[
        "probability"
    ]
    assert beyond == pytest.approx(edge, abs=0.05)


def test_evaluation_learns_only_from_earlier_cutoffs():
    """Labels of the newest cut-off turned round must ruin the score: they were not learned from."""
    parts = [people(800, seed) for seed in (6, 7, 8)]
    features = pd.concat([part[0] for part in parts], ignore_index=True)
    labels = pd.concat([part[1] for part in parts], ignore_index=True)
    at = pd.Series(np.repeat(pd.to_datetime(["2026-01-01", "2026-01-15", "2026-01-29"]), 800))
    honest = churn.evaluate(features, labels, at, "days")
    assert honest["auc"] > 0.7 and honest["brier"] < honest["brier_base_rate"] and honest["n"] == 800
    turned = labels.where(at < at.max(), 1 - labels)
    assert churn.evaluate(features, turned, at, "days")["auc"] == pytest.approx(1 - honest["auc"], abs=1e-9)


def test_what_cannot_be_learned_is_refused_in_a_sentence():
    features, labels = people(50, 9)
    with pytest.raises(ValueError, match="nothing to learn"):
        churn.train(features, labels * 0, AT)
    with pytest.raises(ValueError, match="not numeric"):
        churn.train(features.assign(orders="many"), labels, AT)
    with pytest.raises(ValueError, match="lack orders"):
        churn.score(churn.train(features, labels, AT), features.drop(columns="orders"))
    with pytest.raises(ValueError, match="only one cut-off"):
        churn.evaluate(features, labels, pd.Series([AT] * 50), "days")


def test_on_customers_of_a_shop_by_time(data):
    """Learned from snapshots whose horizon is over at the cut-off: no label that is judged was seen."""
    told = {row["measure"]: row["value"] for row in benchmark.retail_rows(data)}
    assert told["AUC"] >= 0.738


@pytest.mark.nightly
def test_on_telco_customers_and_enrolments(data):
    told = {row["measure"]: row["value"] for row in benchmark.telco_rows(data)}
    assert told["AUC"] >= 0.848 and told["Brier score"] <= 0.134 and told["ECE"] <= 0.02
    assert {row["measure"]: row["value"] for row in benchmark.oulad_rows(data)}["AUC"] >= 0.716
