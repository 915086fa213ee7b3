"""Members that learn from one series alone: from its values without gaps to a path of the steps that follow."""

from collections.abc import Callable, Collection

import numpy as np

from ml.forecast.series import LONG_SEASONS

NEWEST = 1000  # values that are learned from: what lies further back says little and costs time
SEASONS_OF_MEDIAN = 8
LEAST_LONG_SEASONS = 4  # before a longer season is told from chance
SMOOTHABLE = 24  # the longest season that smoothing carries in its state
SMOOTHED = {24: 504}  # hours that smoothing is fitted to: three weeks tell its few parameters, and each hour costs
JUMPS = {"seasonal_jump": 2, "trend_jump": 5, "low_pass_jump": 3}  # of loess, between which lines are drawn
CHANGES_OF_TREND = 12
WAVES = {24: ((24, 8), (168, 12)), 7: ((7, 3), (365.25, 8)), 52: ((52.18, 6),), 12: ((12, 5),), 4: ((4, 1),)}

Member = Callable[[np.ndarray, int, int], np.ndarray]  # values, season, horizon -> path


def seasonal_naive(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The newest season repeated."""
    return y[-season:][np.arange(horizon) % season]


def seasonal_median(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The median of the same place in the last eight seasons: deaf to single odd days."""
    count = max(1, min(SEASONS_OF_MEDIAN, len(y) // season))
    return np.median(y[-count * season :].reshape(count, season), axis=0)[np.arange(horizon) % season]


def exponential_smoothing(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The best exponential smoothing model by AICc (Hyndman and others 2002); of errors that add up, on long series."""
    from statsforecast.models import AutoETS

    length = _smoothable(season)
    kind = "ZZZ" if len(y) <= 200 else "AZA" if length > 1 else "AZN"
    return _path(AutoETS(season_length=length, model=kind), y, horizon)


def complex_smoothing(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Complex exponential smoothing (Svetunkov and others 2022) of what the longer season leaves."""
    from statsforecast.models import AutoCES

    rest, profile = _without_long_season(y, season, horizon)
    return profile + _path(AutoCES(season_length=_smoothable(season)), _newest(rest, season), horizon)


def theta(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The dynamic optimised theta model (Fiorucci and others 2016) of what the longer season leaves."""
    from statsforecast.models import DynamicOptimizedTheta

    rest, profile = _without_long_season(y, season, horizon)
    rest = _newest(rest, season)
    kind = "multiplicative" if rest.min() > 0 else "additive"
    model = DynamicOptimizedTheta(season_length=_smoothable(season), decomposition_type=kind)
    return profile + _path(model, rest, horizon)


def decomposition(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Every season taken out by loess (MSTL, Bandara and others 2021), the rest by exponential smoothing."""
    from statsforecast.models import MSTL, AutoETS

    long = LONG_SEASONS.get(season)
    seasons = [season, long] if long and len(y) > 2 * long else [season]
    return _path(MSTL(season_length=seasons, trend_forecaster=AutoETS(model="ZZN"), stl_kwargs=JUMPS), y, horizon)


def waves(y: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """A trend that may change its slope and waves for each season, by ridge regression.

    What Prophet fits, in closed form: quick enough to tell where Prophet has a chance.
    """
    time = np.arange(len(y) + horizon)
    knots = np.linspace(0, 0.8, CHANGES_OF_TREND + 1)[1:]
    trend = [np.ones(len(time)), time / len(y), *(np.maximum(time / len(y) - knot, 0) for knot in knots)]
    angles = [
        2 * np.pi * wave * time / length
        for length, count in WAVES.get(season, ())
        if len(y) >= 2 * length
        for wave in range(1, count + 1)
    ]
    x = np.stack([*trend, *map(np.sin, angles), *map(np.cos, angles)], axis=1)
    penalty = np.diag([1e-9, 1e-9, *([1.0] * len(knots)), *([0.02] * 2 * len(angles))])
    past, center, scale = x[: len(y)], y.mean(), y.std() or 1.0
    weights = np.linalg.solve(past.T @ past + penalty, past.T @ ((y - center) / scale))
    return center + scale * (x[len(y) :] @ weights)


def _path(model, y: np.ndarray, horizon: int) -> np.ndarray:
    """What a model of statsforecast says of values that are enough for it."""
    return model.forecast(y=y, h=horizon)["mean"]


def _smoothable(season: int) -> int:
    return season if season <= SMOOTHABLE else 1


def _newest(y: np.ndarray, season: int) -> np.ndarray:
    return y[-SMOOTHED.get(season, len(y)) :]


def _without_long_season(y: np.ndarray, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The deviations from the mean profile of the longer season, and that profile over the horizon."""
    long = LONG_SEASONS.get(season)
    if not long or len(y) < LEAST_LONG_SEASONS * long:
        return y, np.zeros(horizon)
    newest = y[-LEAST_LONG_SEASONS * long :].reshape(-1, long)
    profile = newest.mean(axis=0) - newest.mean()
    begin = -len(y) % long
    return y - np.resize(np.roll(profile, -begin), len(y)), profile[np.arange(horizon) % long]


# Name -> member, the seasons that it is for, and the fewest values that it can be fitted to. Years follow a trend and
# do not repeat at one level.
LOCAL: dict[str, tuple[Member, tuple[int, ...], int]] = {
    "SeasonalNaive": (seasonal_naive, (24, 7, 52, 12, 4, 1), 1),
    "SeasonalMedian": (seasonal_median, (24, 7), 1),
    "ETS": (exponential_smoothing, (7, 52, 12, 4, 1), 7),
    "CES": (complex_smoothing, (24, 7, 52, 12, 4, 1), 5),
    "Theta": (theta, (24, 7, 52, 12, 4, 1), 4),
    "MSTL": (decomposition, (24, 52), 7),  # where the seasons are too long or too many for smoothing
    "Waves": (waves, (24, 7, 52, 12, 4), 1),
}


def local_paths(y: np.ndarray, season: int, horizon: int, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The path of each `wanted` member that is for such a series; one that repeats itself exactly is only repeated."""
    newest = y[-NEWEST:]
    is_exact = np.ptp(newest) == 0 or (len(newest) > season and np.array_equal(newest[season:], newest[:-season]))
    paths = {
        name: np.asarray(member(newest, season, horizon), dtype=float)
        for name, (member, seasons, least) in LOCAL.items()
        if name in wanted and season in seasons and len(newest) >= least
        if name == "SeasonalNaive" or not is_exact
    }
    return {name: path for name, path in paths.items() if np.isfinite(path).all()}
