"""Unusual behaviour of users, sellers or rooms among their like: an isolation forest. Series are judged elsewhere."""

import numpy as np
import pandas as pd

THRESHOLD = 0.65  # of the forest's own score, of which 0.5 is the average (Liu, Ting and Zhou 2008)
TREES = 100
LEAST = 50  # of them, to tell what is usual
TOLD = 3  # reasons
SEED = 1


def unusual(features: pd.DataFrame) -> pd.DataFrame:
    """How unusual each row is among all rows: score (0..1), is_anomaly and reasons, with the same index.

    `features` is numeric, a row a user, seller or room; nulls are taken as the median, counts and amounts by their
    order of magnitude. `reasons` are the features furthest from the median, each with its value, the usual one and an
    effect_size: the distance in interquartile ranges over 1.349, a standard deviation where things are normal.
    Raises ValueError with fewer than 50 rows or a column that is not numeric.
    """
    from sklearn.ensemble import IsolationForest

    if len(features) < LEAST:
        raise ValueError(f"There are {len(features)} rows: what is usual can be told from {LEAST} on.")
    if wrong := [name for name, kind in features.dtypes.items() if kind.kind not in "biuf"]:
        raise ValueError(f"The feature {wrong[0]} is not numeric: encode it first.")
    raw = features.astype(float)
    known = raw.fillna(raw.median()).fillna(0.0)
    inner = np.sign(known) * np.log1p(known.abs())
    forest = IsolationForest(n_estimators=TREES, random_state=SEED).fit(inner.to_numpy())
    score = -forest.score_samples(inner.to_numpy())
    spread = (inner.quantile(0.75) - inner.quantile(0.25)) / 1.349
    effect = (inner - inner.median()) / spread.where(spread > 0, inner.std().where(inner.std() > 0, 1.0))
    usual = raw.median()
    told = [_reasons(raw.iloc[row], usual, effect.iloc[row]) for row in range(len(raw))]
    return pd.DataFrame({"score": score, "is_anomaly": score > THRESHOLD, "reasons": told}, index=features.index)


def _reasons(values: pd.Series, usual: pd.Series, effect: pd.Series) -> list[dict]:
    furthest = effect.abs().sort_values(ascending=False, kind="stable").index[:TOLD]
    return [
        {
            "feature": name,
            "value": None if np.isnan(values[name]) else float(values[name]),
            "usual": None if np.isnan(usual[name]) else float(usual[name]),
            "effect_size": float(effect[name]),
        }
        for name in furthest
    ]
