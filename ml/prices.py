"""How demand follows the price, for each product, and which price would earn most. Knows nothing of a shop's tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from ml.promotion import LEAST_BLOCKS, Comparison, compare_paired

LEVEL = 0.9  # of all intervals
LEAST_DAYS = 21  # with sales and prices known
LEAST_UNITS = 30
LEAST_VARIATION = 0.03  # the standard deviation of log price: about 3 %
LEAST_PROMOTED = 3  # days in promotion, and out of it
POINTS = 199  # of the distribution of an elasticity
REACH = 2.0  # how far beyond observed prices the best one is looked for
_STEPS = 400


def elasticities(days: pd.DataFrame) -> pd.DataFrame:
    """How demand follows the price: for each product the per cent more units for one per cent more price.

    `days` has a row a product and day on which one price stood: product_id, category, units, price, exposure (people
    who could buy: views, or how much the shop sold that day; above 0) and is_promotion. Each product's units follow
    exposure × exp(a + e log price + g is_promotion), a Poisson regression with the dispersion that it shows. What it
    says of e is drawn towards its category, and categories towards all, as far as the products' spread goes beyond
    their errors (empirical Bayes; spread by Paule and Mandel 1982, uncertainty of the mean included).

    Returns, indexed by product_id: category, days, units, lowest_price, usual_price (the median), highest_price,
    variation (the standard deviation of log price), estimate and error (its own; empty where `reason` says why it has
    none), promotion_effect (relative), elasticity, its standard deviation `spread`, lo and hi (LEVEL), reason.
    """
    rows = [_own(product, frame) for product, frame in days.groupby("product_id", sort=True)]
    columns = [
        "category",
        "days",
        "units",
        "lowest_price",
        "usual_price",
        "highest_price",
        "variation",
        "estimate",
        "error",
    ]
    columns += ["promotion_effect", "reason"]
    own = pd.DataFrame(rows, columns=["product_id", *columns]).set_index("product_id")
    own = own.astype({"estimate": float, "error": float, "promotion_effect": float})
    mean, spread = shrink(own["estimate"].to_numpy(), own["error"].to_numpy(), own["category"].to_numpy())
    freedom = own["estimate"].notna().sum() - own["category"].nunique() - 1  # few products tell little of their spread
    reach = stats.t.ppf(0.5 + LEVEL / 2, max(freedom, 2)) * spread
    return own.assign(elasticity=mean, spread=spread, lo=mean - reach, hi=mean + reach)


def _own(product: str, days: pd.DataFrame) -> tuple:
    """What a product's own days say of it."""
    import statsmodels.api as sm

    used = days[(days["exposure"] > 0) & (days["price"] > 0)]
    price, units = used["price"].to_numpy(float), used["units"].to_numpy(float)
    category = days["category"].iloc[-1]
    if len(used) == 0:
        return product, category, 0, 0.0, *[np.nan] * 7, "No price of it is known."
    level = np.log(price)
    variation = float(np.sqrt(np.cov(level, aweights=used["exposure"], ddof=0))) if len(used) > 1 else 0.0
    told = (product, category, len(used), units.sum(), price.min(), np.median(price), price.max(), variation)
    if reason := _too_little(len(used), units.sum(), variation):
        return *told, np.nan, np.nan, np.nan, reason
    design = [np.ones(len(used)), level - level.mean()]
    promoted = used["is_promotion"].to_numpy(bool)
    is_promoted = min(promoted.sum(), (~promoted).sum()) >= LEAST_PROMOTED
    if is_promoted:
        design.append(promoted.astype(float))
    model = sm.GLM(
        units, np.column_stack(design), sm.families.Poisson(), offset=np.log(used["exposure"].to_numpy(float))
    )
    fitted = model.fit(scale="X2")
    effect = float(np.expm1(fitted.params[2])) if is_promoted else np.nan
    return *told, float(fitted.params[1]), float(fitted.bse[1]), effect, None


def _too_little(days: int, units: float, variation: float) -> str | None:
    if variation < LEAST_VARIATION:
        return f"Its price varied by {100 * variation:.1f} % only: how demand follows it cannot be seen."
    if days < LEAST_DAYS:
        return f"It was on sale at known prices on {days} days only: {LEAST_DAYS} are needed."
    if units < LEAST_UNITS:
        return f"Only {units:,.0f} units were sold: {LEAST_UNITS} are needed."
    return None


def shrink(estimate: np.ndarray, error: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what each estimate is of, drawn towards its group, and groups towards all.

    An estimate that is nan takes what its group says. All nan where nothing is known at all. That the spread within
    groups is estimated, too, is counted to second order (Kass and Steffey 1989): its variance is 2 / Σ weight².
    """
    known = ~np.isnan(estimate)
    if not known.any():
        return np.full(len(estimate), np.nan), np.full(len(estimate), np.nan)
    groups, place = np.unique(group.astype(str), return_inverse=True)
    variance = error**2
    within = _excess(estimate[known], variance[known], place[known])
    weight = np.where(known, 1 / (np.where(known, variance, 1.0) + within), 0.0)
    total = np.bincount(place, weight, len(groups))
    own = np.bincount(place, weight * np.where(known, estimate, 0.0), len(groups)) / np.where(total > 0, total, 1.0)
    is_known = total > 0
    own_variance = 1 / total[is_known]
    between = _excess(own[is_known], own_variance, np.zeros(is_known.sum(), dtype=int))
    over = 1 / (own_variance + between)
    overall, overall_variance = float(over @ own[is_known] / over.sum()), 1 / over.sum()
    middle, middle_variance = np.full(len(groups), overall), np.full(len(groups), between + overall_variance)
    pull = own_variance / (own_variance + between)
    middle[is_known] = (1 - pull) * own[is_known] + pull * overall
    middle_variance[is_known] = (1 - pull) * own_variance + pull**2 * overall_variance
    pull = np.where(known, np.where(known, variance, 1.0) * weight, 1.0)
    mean = (1 - pull) * np.where(known, estimate, 0.0) + pull * middle[place]
    off = np.where(known, estimate - middle[place], 0.0)
    unsure = (pull**2 * weight * (1 + weight * off**2)) * 2 / (weight**2).sum()  # of the spread within
    return mean, np.sqrt(pull * within + pull**2 * middle_variance[place] + unsure)


def _excess(estimate: np.ndarray, variance: np.ndarray, place: np.ndarray) -> float:
    """The variance beyond the errors, within groups: where weighted squares are as many as degrees of freedom."""
    from scipy.optimize import brentq

    freedom = len(estimate) - len(np.unique(place))
    if freedom <= 0:
        return 0.0

    def surplus(excess: float) -> float:
        weight = 1 / (variance + excess)
        total = np.bincount(place, weight)
        mean = np.bincount(place, weight * estimate) / np.where(total > 0, total, 1.0)
        return float(weight @ (estimate - mean[place]) ** 2) - freedom

    if surplus(0.0) <= 0:
        return 0.0
    highest = float(np.ptp(estimate)) ** 2 + 1.0
    while surplus(highest) > 0:
        highest *= 4
    return float(brentq(surplus, 0.0, highest))


def evaluate(days: pd.DataFrame, before: pd.DataFrame | None = None) -> tuple[dict[str, float], Comparison | None]:
    """The mean Poisson deviance of units on the last fifth of the days, with what the days before say of prices.

    deviance, deviance_each_alone (without drawing towards the category) and deviance_without_price, all with the level
    of each product of the days before; n, the rows judged. Lower is better. With `before`, what `elasticities` returned
    earlier (maybe from these days, too, which is in its favour): the losses beside its own, products drawn together;
    what it does not know, it would have taken for fixed. None where there are too few products.
    Raises ValueError when no product that was sold before has a price of its own.
    """
    at = days["day"].sort_values().iloc[int(0.8 * len(days))]
    past, later = days[days["day"] < at], days[(days["day"] >= at) & (days["exposure"] > 0)]
    known = elasticities(past) if len(past) else pd.DataFrame()
    if known.empty or known["estimate"].isna().all():
        raise ValueError("No product was sold at prices that varied, before the days of the test.")
    known = known[known["estimate"].notna()]
    later = later[later["product_id"].isin(known.index)]
    past = past[past["product_id"].isin(known.index)]
    if later.empty:
        raise ValueError("No product whose prices varied was on sale in the days of the test.")
    own = _losses(past, later, known["elasticity"])
    scores = {
        "deviance": float(own.mean()),
        "deviance_each_alone": float(_losses(past, later, known["estimate"]).mean()),
        "deviance_without_price": float(_losses(past, later, known["estimate"] * 0.0).mean()),
        "n": len(later),
    }
    if before is None or later["product_id"].nunique() < LEAST_BLOCKS:
        return scores, None
    other = _losses(past, later, before["elasticity"].reindex(known.index).fillna(0.0))
    return scores, compare_paired(own, other, later["product_id"].to_numpy(str))


def _losses(past: pd.DataFrame, later: pd.DataFrame, slope: pd.Series) -> np.ndarray:
    """The Poisson deviance of each later row, at the level of the past, if demand follows prices by `slope`."""
    from scipy.special import xlogy

    before = past["exposure"] * past["price"] ** past["product_id"].map(slope)
    level = past["units"].groupby(past["product_id"]).sum() / before.groupby(past["product_id"]).sum()
    due = later["exposure"] * later["price"] ** later["product_id"].map(slope) * later["product_id"].map(level)
    units, due = later["units"].to_numpy(float), due.clip(lower=1e-9).to_numpy(float)
    return 2 * (xlogy(units, units / due) - units + due)


def recommended(known: pd.DataFrame, price: Mapping[str, float], units: Mapping[str, float], cost: Mapping[str, float]):
    """Which price would earn most, (price − unit cost) × units, over all that the elasticity may be.

    `known` is what `elasticities` returned; `price` the present one, `units` those sold at it in some time, `cost` that
    of a unit, each by product_id. Returns, indexed by product_id: price, cost, recommended_price, its lo and hi (the
    best price at all but the outer (1 − LEVEL) of elasticities, within what was observed), gain (money in that time,
    the mean), gain_lo, gain_hi, reason: why nothing is recommended, where it is not.
    """
    rows = [
        (product, *_best(known.loc[product], price[product], units[product], cost[product]))
        for product in known.index
        if product in price and product in units and product in cost
    ]
    columns = ["price", "cost", "recommended_price", "lo", "hi", "gain", "gain_lo", "gain_hi", "reason"]
    return pd.DataFrame(rows, columns=["product_id", *columns]).set_index("product_id")


def _best(known: pd.Series, price: float, units: float, cost: float) -> tuple:
    refused = price, cost, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    if pd.notna(known["reason"]):
        return *refused, known["reason"]
    if units <= 0:
        return *refused, "Nothing of it was sold lately: there is nothing to compare with."
    lowest, highest = known["lowest_price"], known["highest_price"]
    grid = np.geomspace(lowest / REACH, highest * REACH, _STEPS)
    shares = (np.arange(POINTS) + 0.5) / POINTS
    elasticity = np.minimum(known["elasticity"] + known["spread"] * stats.norm.ppf(shares), 0.0)
    gain = units * (
        (grid / price) ** elasticity[:, None] * (grid - cost) - (price - cost)
    )  # a row an elasticity, a column a price
    mean = gain.mean(axis=0)
    inside = (grid >= lowest) & (grid <= highest)
    best = int(np.argmax(mean))
    if not inside[best]:
        where = "above" if grid[best] > highest else "below"
        return *refused, (
            f"The best price lies {where} all that were observed ({lowest:,.2f} to {highest:,.2f}): "
            "what demand would be there is not known."
        )
    outer = (1 - LEVEL) / 2
    own = np.clip(grid[gain.argmax(axis=1)], lowest, highest)
    lo, hi = np.quantile(own, [outer, 1 - outer])
    gain_lo, gain_hi = np.quantile(gain[:, best], [outer, 1 - outer])
    at = float(np.round(grid[best], 2))
    return price, cost, at, min(lo, at), max(hi, at), mean[best], gain_lo, gain_hi, None
