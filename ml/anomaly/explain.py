"""What a change consists of: segments that account for it, and metrics that moved with it. Nothing is judged here."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def segments(values: pd.DataFrame, most: int = 3, by: Sequence[str] = ()) -> pd.DataFrame:
    """The segments that account best for how a whole differs from what was expected of it, best first.

    `values` has segment, value and expected (both >= 0, in one unit); segments may overlap and lie within each other.
    The columns `by` tell several wholes apart. A segment is ranked by how much likelier the values become when it alone
    is scaled, by its own value over its expectation: v log(v / e) - v + e, the gain in Poisson log-likelihood, as in
    Kulldorff's scan statistic (1997). Ranking by the difference alone would name the largest segment of any dimension.
    Only segments that moved in the direction of the whole sum are told. Returns `by`, segment, value, expected,
    change_rate (value / expected - 1, infinite where nothing was expected), gain and share (of the whole difference;
    beyond 1 where others made up for it), at most `most` rows of each whole. Each needs a row with the segment `all`;
    raises ValueError without it.
    """
    is_whole = values["segment"] == "all"
    whole, parts = values[is_whole], values[~is_whole].astype({"value": float, "expected": float})
    keys = list(by)
    if whole.empty or whole.duplicated(keys or ["segment"]).any():
        raise ValueError("The values need exactly one row of the segment all: what is to be explained.")
    difference = whole.assign(difference=(whole["value"] - whole["expected"]).astype(float))[[*keys, "difference"]]
    parts = parts.merge(difference, how="left" if keys else "cross", on=keys or None)
    if parts["difference"].isna().any():
        raise ValueError("The values need exactly one row of the segment all: what is to be explained.")
    value, expected = parts["value"].to_numpy(), parts["expected"].to_numpy()
    if (value < 0).any() or (expected < 0).any():
        raise ValueError("Some segment has a value or an expectation below zero: a share of it explains nothing.")
    away, total = value - expected, parts.pop("difference").to_numpy()
    told = parts.assign(
        change_rate=np.divide(value, expected, out=np.full(len(value), np.inf), where=expected > 0) - 1,
        gain=gain(value, expected),
        share=np.divide(away, total, out=np.zeros(len(value)), where=total != 0),
    )
    told = told[(told["share"] > 0) & (told["gain"] > 0)]
    told = told.sort_values([*keys, "gain", "segment"], ascending=[True] * len(keys) + [False, True], ignore_index=True)
    return told.groupby(keys, sort=False).head(most).reset_index(drop=True) if keys else told.head(most)


def gain(value: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How much likelier counts `value` are with their own mean than with the mean `expected`, in log-likelihood."""
    least = np.maximum(expected, 1e-9)  # nothing was expected: the gain is finite, and large
    ratio = np.divide(value, least, out=np.ones(len(value)), where=value > 0)
    return value * np.log(ratio) - value + least


def moved_along(judged: pd.DataFrame, most: int = 3, least: float = 3.0) -> pd.DataFrame:
    """For each anomaly the other series that were off in the same step by at least `least` usual deviations.

    `judged` is what `detect` returns. Returns unique_id and ds (of the anomaly), other, direction and effect_size, at
    most `most` rows of each, the furthest first.
    """
    off = judged.loc[judged["effect_size"].abs() >= least, ["ds", "unique_id", "direction", "effect_size"]]
    both = judged.loc[judged["is_anomaly"], ["unique_id", "ds"]].merge(
        off.rename(columns={"unique_id": "other"}), on="ds"
    )
    both = both[both["unique_id"] != both["other"]]
    both = both.assign(away=-both["effect_size"].abs()).sort_values(["unique_id", "ds", "away", "other"])
    return both.drop(columns="away").groupby(["unique_id", "ds"], sort=False).head(most).reset_index(drop=True)
