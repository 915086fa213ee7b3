"""Forecasts of a hierarchy made to add up: products to categories, categories to the shop."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def reconcile(forecasts: pd.DataFrame, hierarchy: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The same forecasts, changed as little as their intervals allow so that every sum is the sum of its parts.

    `forecasts` is what `forecast` returns; `hierarchy` names the parts of each sum, themselves sums or not; a part may
    belong to several sums (a product to its category and to its country). Weighted least squares (Wickramasuriya and
    others 2019, with a diagonal matrix): each forecast gives way in proportion to the square of its interval's width.
    Intervals move with their forecast. Series outside of the hierarchy stay as they are. Raises ValueError when a
    member has no forecast or is part of itself.
    """
    if not hierarchy:
        return forecasts
    leaves = {name: _leaves(name, hierarchy, ()) for name in hierarchy}
    bottom = sorted(set().union(*leaves.values()))
    names = [*hierarchy, *bottom]
    if missing := set(names) - set(forecasts["unique_id"]):
        raise ValueError(f"{min(missing)} is in the hierarchy and has no forecast: add its series or leave it out.")
    sums = np.array([[float(leaf in leaves.get(name, {name})) for leaf in bottom] for name in names])
    inside = forecasts["unique_id"].isin(names)
    table = forecasts[inside].pivot(index="unique_id", columns="ds", values="yhat").loc[names]
    if table.isna().any(axis=None):
        raise ValueError("The series of a hierarchy must be forecast for the same times: let them end together.")
    told = table.to_numpy()
    outer = max((c for c in forecasts if c.startswith("hi_")), key=lambda c: int(c[3:]))
    width = forecasts[outer] - forecasts[f"lo_{outer[3:]}"]
    spread = width[inside].groupby(forecasts["unique_id"]).mean().loc[names].to_numpy()
    spread = np.maximum(spread, 1e-6 * max(spread.max(), 1e-9))
    scaled = sums / spread[:, None]
    parts = np.linalg.lstsq(scaled, told / spread[:, None], rcond=None)[0]
    is_nonnegative = bool((told >= 0).all())
    if is_nonnegative:
        parts = np.maximum(parts, 0.0)
    settled = pd.DataFrame(sums @ parts, index=table.index, columns=table.columns).stack().rename("settled")
    frame = forecasts.join(settled, on=["unique_id", "ds"])
    moved = (frame["settled"] - frame["yhat"]).fillna(0.0)
    for column in [c for c in forecasts if c.startswith(("lo_", "hi_"))]:
        frame[column] = frame[column] + moved
        if is_nonnegative:
            frame[column] = frame[column].where(~inside, frame[column].clip(lower=0.0))
    frame["yhat"] = frame["settled"].fillna(frame["yhat"])
    return frame.drop(columns="settled")


def _leaves(name: str, hierarchy: Mapping[str, Sequence[str]], above: tuple[str, ...]) -> set[str]:
    if name in above:
        raise ValueError(f"{name} is part of itself in the hierarchy: take it out of one of its parts.")
    if name not in hierarchy:
        return {name}
    return set().union(*(_leaves(part, hierarchy, (*above, name)) for part in hierarchy[name]))
