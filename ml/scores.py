"""Measures of how good a prediction was, against the truth that came later. Nothing here predicts."""

import numpy as np


def seasonal_scale(history: np.ndarray, season: int) -> float:
    """Mean absolute difference between values one season apart, in the unit of the series; missing values are left out.

    The denominator of MASE (Hyndman and Koehler 2006). With less than two seasons, values one step apart are taken.
    0 for a series that repeats itself exactly; nan when no two values can be compared.
    """
    apart = season if len(history) > season else 1
    differences = np.abs(history[apart:] - history[:-apart])
    differences = differences[~np.isnan(differences)]
    return float(differences.mean()) if len(differences) else float("nan")


def mase(actual: np.ndarray, predicted: np.ndarray, history: np.ndarray, season: int) -> float:
    """Mean absolute scaled error: 1 is as wrong as repeating the last season was within the history.

    0 for a perfect forecast of a history that repeats itself exactly, infinite for an imperfect one.
    """
    error = float(np.nanmean(np.abs(actual - predicted)))
    scale = seasonal_scale(history, season)
    if error == 0.0:
        return 0.0
    return error / scale if scale > 0 else float("inf")


def smape(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Symmetric mean absolute percentage error, 0 to 200, as in the M3 and M4 competitions; 0/0 counts as 0."""
    total = np.abs(actual) + np.abs(predicted)
    parts = np.where(total > 0, 200.0 * np.abs(actual - predicted) / np.where(total > 0, total, 1.0), 0.0)
    return float(np.nanmean(np.where(np.isnan(actual), np.nan, parts)))


def coverage(actual: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> float:
    """The share of known values within [lo, hi], 0 to 1."""
    known = ~np.isnan(actual)
    return float(np.mean((lo[known] <= actual[known]) & (actual[known] <= hi[known])))


def pinball(actual: np.ndarray, quantile: np.ndarray, share: float) -> float:
    """Mean pinball loss of a predicted quantile: `share` of the truth should lie below it."""
    above = actual - quantile
    return float(np.nanmean(np.maximum(share * above, (share - 1.0) * above)))


def brier(happened: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared difference between probability and outcome (0 or 1): 0 is perfect."""
    return float(np.mean((probability - happened) ** 2))


def calibration_error(happened: np.ndarray, probability: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: over `bins` equally filled bins, the mean distance of probability from frequency."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    distances = [abs(probability[part].mean() - happened[part].mean()) * len(part) for part in parts]
    return float(sum(distances) / len(order))
