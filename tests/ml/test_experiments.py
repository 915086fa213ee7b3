"""Bounds that allow a daily look, tests against published figures, and what is decided from them."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml import experiments
from ml.experiments import Plan

DAY = date(2026, 1, 1)


def sums(values: np.ndarray, before: np.ndarray | None = None) -> dict:
    """As the warehouse sums them; who has a value above zero converted once."""
    before = np.zeros(len(values)) if before is None else before
    converted = (values > 0).astype(float)
    columns = {"converted": converted, "conversions": converted, "value": values, "value_before": before}
    told = {"users": len(values), "exposed": len(values)} | {name: column.sum() for name, column in columns.items()}
    told |= {f"{name}_square": (column**2).sum() for name, column in columns.items()}
    return told | {"conversions_value": (converted * values).sum(), "value_value_before": (values * before).sum()}


def history(rates: dict[str, float], days: int = 28, people: int = 500, seed: int = 1) -> pd.DataFrame:
    """Every day so many people of each variant, who are worth 10 at its rate."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            {"day": DAY + timedelta(days=day), "variant": variant} | sums(10.0 * (random.random(people) < rate))
            for day in range(days)
            for variant, rate in rates.items()
        ]
    )


def judge(rates: dict[str, float], users: int | None, measure: str = "conversion_rate", weights=None, **how):
    plan = Plan(users, 0.05, weights or dict.fromkeys(rates, 1.0))
    [result] = experiments.analyse(history(rates, **how), measure, plan)
    return result


def test_bounds_are_those_of_the_tables():
    """Five equal looks, two-sided 5 %: 4.8769, 3.3569, 2.6803, 2.2898, 2.0310 (Reboussin et al. 2000, ld98)."""
    np.testing.assert_allclose(
        experiments.bounds([0.2, 0.4, 0.6, 0.8, 1.0]), [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], atol=2e-4
    )
    assert experiments.bounds([1.0])[0] == pytest.approx(1.959964, abs=1e-5)
    with pytest.raises(ValueError, match="grow"):
        experiments.bounds([0.5, 0.5])


def test_looking_every_day_rings_as_often_as_promised_and_finds_nearly_as_much():
    """Sums of normal values: exact but for the draw. One look at the end would find 79.9 % of an effect of 2.8."""
    steps = np.random.default_rng(3).normal(size=(60_000, 28))
    information = np.arange(1, 29)
    bounds = experiments.bounds(information / 28)
    noise = steps.cumsum(axis=1) / np.sqrt(information)
    moved = noise + 2.8 * np.sqrt(information / 28)
    assert (np.abs(noise) >= bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.003)
    assert (np.abs(noise) >= 1.96).any(axis=1).mean() > 0.24
    assert (moved >= bounds).any(axis=1).mean() > (moved[:, -1] >= 1.96).mean() - 0.02


def test_cookie_cats_comes_out_as_published(data):
    players = pd.read_csv(data / "cookie-cats" / "cookie_cats.csv.gz")
    gates = {
        gate: experiments.aggregates(sums(kept.to_numpy(float)))
        for gate, kept in players.groupby("version")["retention_7"]
    }
    tested = experiments.compare("conversion_rate", gates["gate_30"], gates["gate_40"])
    assert tested.pvalue == pytest.approx(0.00155, abs=0.00001)
    ratio = experiments.sample_ratio(players["version"].value_counts().to_dict(), {"gate_30": 1, "gate_40": 1})
    assert ratio == pytest.approx(0.0086, abs=0.0001)


def test_what_was_known_before_is_no_effect():
    """People differ by what they did before, far more than by the change: CUPED sees it, a plain test does not."""
    random = np.random.default_rng(5)
    before = random.normal(100, 10, (2, 4000))
    after = before + random.normal(0, 1, before.shape) + np.array([[0.0], [0.2]])
    one, other = (experiments.aggregates(sums(*pair)) for pair in zip(after, before, strict=True))
    plain, two = (experiments.aggregates(sums(values)) for values in after)
    assert experiments.compare("value_per_user", one, other).pvalue < 0.001
    assert experiments.compare("value_per_user", plain, two).pvalue > 0.1


def test_a_ratio_has_the_variance_of_the_delta_method():
    random = np.random.default_rng(6)
    values = np.where(random.random(2000) < 0.3, random.normal(20, 4, 2000), 0.0)
    tested = experiments.compare("value_per_conversion", *[experiments.aggregates(sums(values))] * 2)
    assert tested.control == pytest.approx(values[values > 0].mean())
    assert tested.effect_size_ci_upper == pytest.approx(
        1.96 * np.sqrt(2 * values[values > 0].var() / (values > 0).sum()), rel=0.01
    )


@pytest.mark.parametrize(
    ("rates", "users", "decision", "says"),
    [
        ({"control": 0.10, "green": 0.14}, 28_000, "ship", "Ship green: green has 0.1"),
        ({"control": 0.14, "green": 0.10}, 28_000, "stop", "it does harm"),
        (
            {"control": 0.10, "green": 0.10},
            280_000,
            "keep running",
            "Keep running until 2026-10-07 or so, when 280,000",
        ),
        ({"control": 0.50, "green": 0.50}, 28_000, "stop", "5 % or more can be excluded"),
        ({"control": 0.10, "green": 0.10}, 28_000, "cannot be told", "leaves room for nothing and for 5 %"),
        ({"control": 0.10, "green": 0.14}, None, "cannot be told", "nobody planned how many people"),
    ],
)
def test_a_decision_in_a_sentence(rates, users, decision, says):
    result = judge(rates, users)
    assert result.decision == decision and says in result.sentence, result.sentence
    if users is not None:
        assert result.lo < result.effect < result.hi


def test_a_decision_stands_whatever_comes_later():
    early = judge({"control": 0.10, "green": 0.16}, 28_000)
    assert early.decision == "ship" and early.information_rate < 0.8 and early.day < DAY + timedelta(days=27)
    assert early.looks == (early.day - DAY).days + 1


def test_a_broken_split_decides_nothing_and_a_doubtful_one_is_said():
    broken = judge({"control": 0.10, "green": 0.16}, 28_000, weights={"control": 1.0, "green": 2.0})
    assert broken.decision == "cannot be told" and "not split as intended" in broken.sentence
    frame = history({"control": 0.1, "green": 0.16})
    frame.loc[0, "exposed"] += 250
    [doubtful] = experiments.analyse(frame, "conversion_rate", Plan(28_000, 0.05, {"control": 1.0, "green": 1.0}))
    assert 0.001 < doubtful.sample_ratio_p_value < 0.05 and doubtful.decision == "ship"


def test_few_people_and_nothing_happening_are_no_error():
    assert "a look needs 100" in judge({"control": 0.1, "green": 0.1}, 28_000, days=1, people=40).sentence
    assert judge({"control": 0.0, "green": 0.0}, 28_000).decision == "keep running"
    assert experiments.analyse(history({"control": 0.1}), "value_per_user", Plan(10, 0.05, {"x": 1.0, "y": 1.0})) == []


def test_as_many_people_as_the_textbook_says():
    """16 σ² / δ² in each of two, 1.03 times for looking: 5 % of 0.1 at a variance of 0.09 are 2 × 57,600 × 1.03."""
    assert experiments.users_needed(0.1, 0.09, 0.05) == pytest.approx(2 * 16 * 0.09 / 0.005**2 * 1.03, rel=0.03)
    with pytest.raises(ValueError, match="mean of zero"):
        experiments.users_needed(0.0, 1.0, 0.05)
