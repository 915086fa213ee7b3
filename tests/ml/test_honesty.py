"""Promotion and drift: what chance alone does, what is really there, and figures by hand."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.learning import honesty
from benchmarks.learning.__main__ import table, with_table
from ml import drift, promotion


def test_what_the_page_says_of_promotion_and_drift(tmp_path):
    """A/A at most 5 %, a drift of 0.3 SD found in 95 % and none called in its absence, in a tenth of the trials."""
    for row in honesty.rows(tmp_path, trials=100):
        if row["aim"]:
            word, bound = row["aim"].split()
            slack = 3  # what a hundred trials may be off by
            assert row["value"] <= float(bound) + slack if word == "≤" else row["value"] >= float(bound) - slack, row


def test_a_comparison_by_hand():
    """Four blocks in each of which the challenger errs three quarters as much: no chance is in that."""
    champion = np.array([1.0, 2.0, 3.0, 4.0])
    told = promotion.compare_paired(0.75 * champion, champion, np.arange(4))
    assert (told.change, told.lo, told.hi, told.units) == pytest.approx((-0.25, -0.25, -0.25, 4))
    assert told.is_better
    assert not promotion.compare_paired(0.995 * champion, champion, np.arange(4)).is_better  # half a percent is not 1
    assert not promotion.compare_paired(champion, champion, np.arange(4)).is_better
    assert str(told) == "−25.0% loss (−25.0% to −25.0%) on 4 predictions"


def test_units_of_a_block_are_not_independent():
    """The same losses, told ten times each, are no more certain."""
    random = np.random.default_rng(0)
    own, other = random.exponential(1, 30), random.exponential(1.3, 30)
    once = promotion.compare_paired(own, other, np.arange(30))
    tenfold = promotion.compare_paired(*(np.repeat(x, 10) for x in (own, other)), np.repeat(np.arange(30), 10))
    assert (tenfold.change, tenfold.lo, tenfold.hi) == pytest.approx((once.change, once.lo, once.hi))


def test_groups_are_compared_as_an_experiment():
    random = np.random.default_rng(3)
    own, other = random.exponential(1.0, 2000), random.exponential(1.5, 1000)
    told = promotion.compare_groups(own, other)
    assert told.is_better and told.lo < -1 / 3 < told.hi and told.units == 3000
    assert not promotion.compare_groups(own, random.exponential(1.0, 1000)).is_better


@pytest.mark.parametrize(
    "compare", [lambda x: promotion.compare_paired(x, x, x), lambda x: promotion.compare_groups(x, x)]
)
def test_too_little_to_compare_is_said(compare):
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(np.arange(3.0))


def test_drift_by_hand():
    """Two values, half and half, then six to four: (0.1 ln 1.2 + -0.1 ln 0.8) less (2 - 1)(1/n + 1/m)."""
    learned = drift.histogram(np.repeat([0.0, 1.0], 500))
    assert learned == {"edges": [0.5], "counts": [500, 500, 0]}
    told = drift.drift(learned, np.repeat([0.0, 1.0], [600, 400]))
    assert told.psi == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8) - 2 / 1000, abs=1e-4)
    assert told.shift == pytest.approx(0.1) and told.n == 1000
    assert told.threshold == drift.LEAST_PSI  # 0.0385 is less than what 0.2 SD of a normal make
    assert not told.is_drift
    assert drift.drift(learned, np.repeat([0.0, 1.0], [650, 350])).is_drift


def test_missing_values_are_a_drift_of_their_own():
    values = np.random.default_rng(0).normal(size=1000)
    holes = np.where(np.arange(1000) < 200, np.nan, values)
    assert drift.drift(drift.histogram(values), holes).is_drift


def test_few_values_are_never_a_drift():
    learned = drift.histogram(np.zeros(1000))
    assert not drift.drift(learned, np.ones(499)).is_drift
    assert drift.drift(learned, np.ones(500)).is_drift


def test_a_table_comes_between_its_marks_and_only_there():
    row = {"set": "toy", "measure": "AUC", "value": 0.85312, "aim": "≥ 0.8", "published": "0.84", "note": ""}
    page = "# Learning\n\n<!-- churn -->\nold\n<!-- /churn -->\nafter\n"
    told = with_table(page, "churn", [row, row])
    assert "| toy | AUC | 0.8531 | ≥ 0.8 | 0.84 |  |\n|  | AUC |" in told and "old" not in told
    assert told.startswith("# Learning\n\n<!-- churn -->") and told.endswith("<!-- /churn -->\nafter\n")
    assert with_table(told, "churn", [row, row]) == told
    assert with_table(page, "prices", [row]).endswith(
        f"## Prices\n\n<!-- prices -->\n{table([row])}\n<!-- /prices -->\n"
    )


def test_nothing_heavy_is_imported_before_it_is_used():
    modules = "ml, ml.anomaly, ml.churn, ml.drift, ml.forecast, ml.promotion, ml.scores"
    heavy = "prophet sklearn statsforecast lightgbm scipy matplotlib cmdstanpy"
    code = f"import sys, {modules}; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
