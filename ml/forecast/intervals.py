"""Intervals as wide as the combination's own past errors: scaled per series, pooled over all, corrected for the times.

The few past origins at which the combination was tried may have been easy or hard ones. A naive forecast costs nothing
and is tried at many more; what its errors were at those, beside the few, corrects how wide the intervals must be.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ml.forecast.members import seasonal_median, seasonal_naive
from ml.forecast.series import Series, filled
from ml.forecast.trials import Trial, Trials, Weights, mean, origins_of

NAIVE_ORIGINS = 12
PRIOR_ORIGINS = 1.0  # the typical series counts as much as so many origins of a series' own for its scale
LEAST_SHARE = 1e-3  # of the naive error: no series is believed to err less

Width = tuple[float, dict[int, np.ndarray]]  # the typical error, and half-widths in such errors by level and step
Weigh = Callable[[Sequence[Trial]], Weights]


def calibrate(
    many: Sequence[Series], trials: Trials, weigh: Weigh, horizon: int, levels: Sequence[int]
) -> dict[str, Width]:
    """Each series' typical error, and by level the half-width of its interval at each step in such errors.

    Split conformal prediction. An error is scaled by its series' usual error, learned from the *other* origins with
    weights from the other origins, so that not knowing them exactly widens the interval; and by how hard its origin
    was for all series. How hard the coming one will be is drawn from many origins of a naive forecast.
    """
    errors = {one.unique_id: _honest_errors(trials[one.unique_id], weigh) for one in many}
    errors = {name: paths for name, paths in errors.items() if paths}
    naive = {one.unique_id: _naive_errors(one, horizon, trials) for one in many if one.unique_id in errors}
    units = {name: _unit(naive[name][1], paths) for name, paths in errors.items()}
    able = [name for name, unit in units.items() if unit > 0]
    hardness = np.maximum(
        _by_turn([[mean([path]) / units[name] for path in errors[name]] for name in able]), LEAST_SHARE
    )
    coming = _coming(hardness, [[np.array(some) / units[name] for some in naive[name]] for name in able])
    spreads, scaled = dict.fromkeys(units, 0.0), []
    for name in able:
        paths = [path / (units[name] * hard) for path, hard in zip(errors[name], hardness, strict=False)]
        shares = [max(mean([path]), LEAST_SHARE) for path in paths]
        for turn, path in enumerate(paths):
            usual = _usual_share(shares[:turn] + shares[turn + 1 :])
            scaled.append(np.concatenate([path / usual, np.full(horizon - len(path), np.nan)]))
        spreads[name] = units[name] * float(coming.mean()) * _usual_share(shares)
    reach = {level: _reach(scaled, coming / coming.mean(), level / 100, horizon) for level in levels}
    return {name: (spread, reach) for name, spread in spreads.items()}


def _honest_errors(trials: Sequence[Trial], weigh: Weigh) -> list[np.ndarray]:
    """Each trial's absolute errors, as far as known, with the weights that the other trials give."""
    honest = []
    for turn, trial in enumerate(trials):
        others = [other for place, other in enumerate(trials) if place != turn]
        honest.append(trial.errors(weigh(others or [trial])))
    return [path for path in honest if not np.isnan(path).all()]


def _naive_errors(one: Series, horizon: int, trials: Trials) -> tuple[list[float], list[float]]:
    """Mean errors of the best naive forecast at the origins of the trials, and at up to NAIVE_ORIGINS origins."""
    tried = [trial.origin for trial in trials[one.unique_id]]
    many = origins_of(one, horizon, NAIVE_ORIGINS)
    y = filled(one.y, one.season)
    guesses = [seasonal_naive, seasonal_median, lambda past, _, steps: np.full(steps, past[-1])]
    table = np.array([[_naive_error(one, y, guess, origin, horizon) for origin in tried + many] for guess in guesses])
    best = table[np.argmin(np.nan_to_num(table, nan=np.inf).mean(axis=1))].tolist()
    return best[: len(tried)], best[len(tried) :]


def _naive_error(one: Series, y: np.ndarray, guess: Callable, origin: int, horizon: int) -> float:
    actual = one.y[origin : origin + horizon]
    return mean([np.abs(actual - guess(y[:origin], one.season, len(actual)))])


def _unit(naive: Sequence[float], paths: Sequence[np.ndarray]) -> float:
    """A series' usual naive error; its own where a naive forecast is never wrong."""
    usual = mean([np.array(naive)])
    return usual if usual > 0 else mean(paths)


def _by_turn(values: Sequence[Sequence[float]]) -> np.ndarray:
    """The median over all series for each turn, newest first."""
    if not values:
        return np.ones(0)
    longest = max(map(len, values))
    table = np.array([[*some, *[np.nan] * (longest - len(some))] for some in values]).reshape(-1, longest)
    table = table[:, ~np.isnan(table).all(axis=0)]
    return np.nanmedian(table, axis=0)


def _usual_share(shares: Sequence[float]) -> float:
    """How much more than the typical series this one errs: a mean of logs, drawn towards not at all."""
    return float(np.exp(np.log(shares).sum() / (len(shares) + PRIOR_ORIGINS)))


def _coming(hardness: np.ndarray, naive: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """How hard the coming origin may be: as those of the naive forecast, at the level of the combination's."""
    tried, many = (_by_turn([some[part] for some in naive]) for part in (0, 1))
    many = many[many > 0]
    if not len(many) or not tried.mean() > 0:
        return hardness if len(hardness) else np.ones(1)
    return many * hardness.mean() / tried.mean()


def _reach(scaled: Sequence[np.ndarray], coming: np.ndarray, level: float, horizon: int) -> np.ndarray:
    """Conformal quantiles by step, pooled over thirds of the horizon and never narrowing with distance."""
    if not scaled:
        return np.zeros(horizon)  # every past error was exactly zero
    table, steps = np.stack(scaled), np.full(horizon, np.nan)
    for part in np.array_split(np.arange(horizon), min(3, horizon)):
        values = table[:, part][~np.isnan(table[:, part])]
        if len(values):
            steps[part] = _conformal_quantile(values, coming, level)
    return _extended(steps)


def _conformal_quantile(values: np.ndarray, coming: np.ndarray, level: float) -> float:
    """The ⌈(n + 1) · level⌉-th smallest of n values (Vovk 2005), each taken to be as likely at every hardness.

    With too few values for the level, 1.5 times the largest.
    """
    rank = np.ceil((len(values) + 1) * level)
    all_values = np.sort(np.outer(values, coming).ravel())
    if rank > len(values):
        return 1.5 * float(all_values[-1])
    return float(all_values[int(rank * len(coming)) - 1])


def _extended(steps: np.ndarray) -> np.ndarray:
    """Never narrower further out; beyond the reach of past errors, growing with the square root of the distance."""
    from scipy.optimize import isotonic_regression

    reached = int(np.flatnonzero(~np.isnan(steps))[-1]) + 1
    beyond = np.arange(reached, len(steps))
    rising = isotonic_regression(steps[:reached]).x
    return np.concatenate([rising, rising[-1] * np.sqrt((beyond + 1) / reached)])
