"""Detection on real series: NAB by its own score, computed by hand first, and planted anomalies in hours."""

import numpy as np
import pytest

from benchmarks.learning import anomalies


def detections(count: int, *rows: int) -> np.ndarray:
    told = np.zeros(count, dtype=bool)
    told[list(rows)] = True
    return told


def test_the_score_of_a_file_by_hand():
    """1,000 rows, the first 150 not scored; one window of 100 rows, from 400 to 499."""
    windows = [(400, 499)]
    assert anomalies.raw_score(detections(1000, 400), windows, "standard") == pytest.approx(1.0)  # the first row
    assert anomalies.raw_score(detections(1000, 400, 420, 490), windows, "standard") == pytest.approx(1.0)
    assert anomalies.raw_score(detections(1000), windows, "standard") == -1.0
    assert anomalies.raw_score(detections(1000), windows, "low false negatives") == -2.0
    assert anomalies.raw_score(detections(1000, 100, 400), windows, "standard") == pytest.approx(1.0)  # probation
    assert anomalies.raw_score(detections(1000, 300, 400), windows, "standard") == pytest.approx(1 - 0.11)
    assert anomalies.raw_score(detections(1000, 300, 400), windows, "low false positives") == pytest.approx(1 - 0.22)
    # half a window late: 2 / (1 + e^-2.5) - 1 = 0.8483, of 2 / (1 + e^-5) - 1 = 0.9866 for the first row
    assert anomalies.raw_score(detections(1000, 450), windows, "standard") == pytest.approx(0.84828 / 0.98661, abs=1e-4)
    # shortly behind the window it costs little: a tenth of its width, 2 / (1 + e^0.5) - 1 = -0.2449 of 0.11
    late = anomalies.raw_score(detections(1000, 400, 509), windows, "standard")
    assert late == pytest.approx(1 - 0.11 * np.tanh(0.25 * 10 / 9.9), abs=1e-4)


def test_silence_is_0_and_perfection_is_100():
    windows = [[(400, 499)], []]
    silent, perfect = [np.zeros(1000)] * 2, [detections(1000, 400).astype(float), np.zeros(1000)]
    assert anomalies.nab_score(silent, windows, "standard") == pytest.approx(0.0)
    assert anomalies.nab_score(perfect, windows, "standard") == pytest.approx(100.0)


def test_nab(data):
    scores = {row["measure"]: row["value"] for row in anomalies.nab_rows(data)}
    assert scores["standard"] >= 65 and scores["low false positives"] >= 58


def test_planted_anomalies_in_hours(data):
    told = anomalies.planted(anomalies.m4_hourly(data, 40), seed=1)
    assert told["precision"] >= 0.6 and told["recall"] >= 0.7 and told["weekly"] <= 0.25
    assert told["f1"] > told["plain_f1"]
