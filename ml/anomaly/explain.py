"""What a change consists of: segments that account for it, and metrics that moved with it. Nothing is judged here."""

import numpy as np
import pandas as pd


def segments(values: pd.DataFrame, most: int = 3) -> pd.DataFrame:
    """The segments that account best for how a whole differs from what was expected of it, best first.

    `values` has segment, value and expected (both >= 0, in one unit); segments may overlap and lie within each other.
    A segment is ranked by how much likelier the values become when it alone is scaled, by its own value over its
    expectation: v log(v / e) - v + e, the gain in Poisson log-likelihood, as in Kulldorff's scan statistic (1997).
    Ranking by the difference alone would name the largest segment of any dimension. Only segments that moved in the
    direction of the whole sum are told. Returns segment, value, expected, change_rate (value / expected - 1, infinite
    where nothing was expected), gain and share (of the whole difference; beyond 1 where others made up for it), at most
    `most` rows. `values` needs a row with the segment `all`; raises ValueError without it.
    """
    whole = values[values["segment"] == "all"]
    if len(whole) != 1:
        raise ValueError("The values need exactly one row of the segment all: what is to be explained.")
    difference = float(whole["value"].iloc[0] - whole["expected"].iloc[0])
    parts = values[values["segment"] != "all"].astype({"value": float, "expected": float})
    value, expected = parts["value"].to_numpy(), parts["expected"].to_numpy()
    if (value < 0).any() or (expected < 0).any():
        raise ValueError("Some segment has a value or an expectation below zero: a share of it explains nothing.")
    told = parts.assign(
        change_rate=np.divide(value, expected, out=np.full(len(value), np.inf), where=expected > 0) - 1,
        gain=gain(value, expected),
        share=(value - expected) / difference if difference else 0.0,
    )
    told = told[(told["share"] > 0) & (told["gain"] > 0)]
    return told.sort_values(["gain", "segment"], ascending=[False, True], ignore_index=True).head(most)


def gain(value: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How much likelier counts `value` are with their own mean than with the mean `expected`, in log-likelihood."""
    least = np.maximum(expected, 1e-9)  # nothing was expected: the gain is finite, and large
    ratio = np.divide(value, least, out=np.ones(len(value)), where=value > 0)
    return value * np.log(ratio) - value + least


def moved_along(judged: pd.DataFrame, unique_id: str, ds: pd.Timestamp, least: float = 3.0) -> pd.DataFrame:
    """The other series that were off in the same step by at least `least` usual deviations, the furthest first.

    `judged` is what `detect` returns. Returns unique_id, expected, direction and effect_size.
    """
    then = judged[(judged["ds"] == ds) & (judged["unique_id"] != unique_id) & (judged["effect_size"].abs() >= least)]
    order = then["effect_size"].abs().sort_values(ascending=False, kind="stable").index
    return then.loc[order, ["unique_id", "expected", "direction", "effect_size"]].reset_index(drop=True)
