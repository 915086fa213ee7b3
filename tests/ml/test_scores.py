"""The measures, against numbers computed by hand."""

import numpy as np
import pytest

from ml import scores


def test_mase_divides_by_the_error_of_repeating_the_last_season():
    history = np.array([1.0, 10.0, 3.0, 14.0])  # season 2: |3 - 1| and |14 - 10|, so 3 on average
    actual, predicted = np.array([5.0, 12.0]), np.array([3.0, 13.0])  # |2| and |1|, so 1.5
    assert scores.mase(actual, predicted, history, season=2) == pytest.approx(0.5)


def test_mase_leaves_out_what_is_not_known():
    history = np.array([1.0, np.nan, 3.0, 14.0])  # only |3 - 1| can be compared
    assert scores.mase(np.array([np.nan, 12.0]), np.array([0.0, 13.0]), history, 2) == pytest.approx(1 / 2)


def test_mase_of_a_history_that_repeats_itself_exactly():
    assert scores.mase(np.array([2.0]), np.array([2.0]), np.array([2.0, 2.0, 2.0]), 1) == 0.0
    assert scores.mase(np.array([3.0]), np.array([2.0]), np.array([2.0, 2.0, 2.0]), 1) == float("inf")


def test_smape_is_a_percentage_of_the_sum_and_counts_nothing_of_nothing_as_right():
    actual, predicted = np.array([100.0, 0.0]), np.array([50.0, 0.0])  # 200 · 50 / 150 and 0
    assert scores.smape(actual, predicted) == pytest.approx(200 * 50 / 150 / 2)


def test_coverage_counts_the_bounds_in_and_the_unknown_out():
    actual = np.array([1.0, 2.0, 3.0, np.nan, 9.0])
    assert scores.coverage(actual, np.full(5, 1.0), np.full(5, 3.0)) == pytest.approx(3 / 4)


def test_pinball_punishes_a_high_quantile_most_for_lying_too_low():
    truth = np.array([10.0])
    assert scores.pinball(truth, np.array([8.0]), 0.9) == pytest.approx(0.9 * 2)
    assert scores.pinball(truth, np.array([12.0]), 0.9) == pytest.approx(0.1 * 2)


def test_brier_and_calibration():
    happened, probability = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.8, 0.2, 0.6, 0.4])
    assert scores.brier(happened, probability) == pytest.approx((0.04 + 0.04 + 0.16 + 0.16) / 4)
    # two bins: {0.2, 0.4} happened 0 of 2, so off by 0.3; {0.6, 0.8} happened 2 of 2, so off by 0.3
    assert scores.calibration_error(happened, probability, bins=2) == pytest.approx(0.3)
