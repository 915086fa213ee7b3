"""Members that learn from all series at once: boosted trees on lags and calendar, and a linear map of recent values."""

from collections.abc import Callable, Sequence

import numpy as np

from ml.forecast.series import LONG_SEASONS, Series, filled

ROWS = 100_000  # examples that the trees learn from, drawn evenly from all series
ROWS_OF_ONE = 5_000  # most of them overlap
LEAST_ROWS = 300
ROUNDS = 250
TREES = {
    "objective": "l1",
    "learning_rate": 0.06,
    "num_leaves": 31,
    "min_data_in_leaf": 30,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
WEEKS_OF_LEVEL = 13  # a year of weeks is too long for a level
LAGS, NEWEST = 5, 6
LINEAR_WINDOWS = {24: (336, 168, 48), 7: (112, 56, 14), 52: (60, 26, 13), 12: (24, 13), 4: (12, 6), 1: (6, 3)}
LINEAR_ROWS = 40_000
RIDGE = 0.01  # of the number of examples: past values are in units of their own deviation
FARTHEST = 15.0  # deviations; what lies further is learned from as if it lay there


class Boosting:
    """Gradient-boosted trees for all series and all steps ahead, on absolute errors in units of each series' changes.

    An example is a target some steps after an origin. Its features are the values one, two, … seasons before the
    target, the newest values, levels over several seasons, and the target's place in the calendar; values are
    relative to the level at the origin. What is learned is the distance from a plain guess.
    """

    def __init__(self, pasts: Sequence[Series], horizon: int) -> None:
        """Learn from all series of one season together."""
        seasons = {past.season for past in pasts}
        self.trees = {season: _trees([past for past in pasts if past.season == season], horizon) for season in seasons}

    def predict(self, past: Series, horizon: int) -> np.ndarray | None:
        """The path after `past`; None where there was too little to learn from, in all or in this series."""
        trees = self.trees.get(past.season)
        if trees is None or len(past.y) < _first(past) + horizon:
            return None
        x, guess, level, scale = _features(past, np.array([len(past.y)]), horizon)
        return level[0] + scale[0] * (guess[0] + trees.predict(x[0], num_threads=1))


def _trees(pasts: Sequence[Series], horizon: int):
    """A LightGBM booster; None where there are too few examples."""
    import lightgbm

    random = np.random.default_rng(0)
    most = max(2, min(ROWS // len(pasts), ROWS_OF_ONE) // horizon)
    drawn = [_examples(past, horizon, most, random) for past in pasts if len(past.y) > _first(past)]
    if sum(len(y) for _, y in drawn) < LEAST_ROWS:
        return None
    x, y = (np.concatenate(part) for part in zip(*drawn, strict=True))
    y = np.clip(y, *np.quantile(y, [0.002, 0.998]))
    return lightgbm.train(TREES, lightgbm.Dataset(x, y), ROUNDS)


def _first(past: Series) -> int:
    """The earliest origin that has enough behind it."""
    return max(2 * past.season, 8)


def _examples(past: Series, horizon: int, most: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    origins = np.arange(_first(past), len(past.y))
    if len(origins) > most:
        origins = np.sort(random.choice(origins, most, replace=False))
    x, guess, level, scale = _features(past, origins, horizon)
    truth = np.concatenate([past.y, np.full(horizon, np.nan)])[origins[:, None] + np.arange(horizon)]
    y = (truth - level[:, None]) / scale[:, None] - guess
    is_known = ~np.isnan(y)
    return x[is_known], y[is_known]


def _features(past: Series, origins: np.ndarray, horizon: int) -> tuple[np.ndarray, ...]:
    """x (origins, horizon, features) and the plain guess (origins, horizon); level and scale (origins)."""
    season, long = past.season, LONG_SEASONS.get(past.season)
    y = filled(past.y, season)
    pad = 2 * (long or 0) + (LAGS + 1) * season + horizon
    padded = np.concatenate([np.full(pad, np.nan), y])
    origin, step = origins[:, None], np.arange(horizon)[None, :]
    level = _mean_before(y, origins, min(max(season, NEWEST), 24 if season < 52 else WEEKS_OF_LEVEL))
    scale = _scale_before(y, origins, season, level)

    def relative(values: np.ndarray) -> np.ndarray:
        return (values - level[:, None]) / scale[:, None]

    def at(place: np.ndarray) -> np.ndarray:
        return relative(padded[place + pad])

    turns = step // season + 1  # seasons from the target back to the newest value of its place that is known
    lags = [at(origin + step - season * (turns + back)) for back in range(LAGS)]
    newest = [at(origin - 1 - back) for back in range(NEWEST)]
    levels = [relative(_mean_before(y, origins, count * season)[:, None]) for count in (1, 2, 4, 8)]
    before = relative(_mean_before(y, np.maximum(origins - season, 1), season)[:, None])
    guess = _guess(season, lags, newest[0], turns * (levels[0] - before))
    if season == 24:  # half of the guess is last week's, at this week's level
        weeks = [relative(_mean_before(y, np.maximum(origins - back, 1), long)[:, None]) for back in (0, long)]
        last_week = at(origin + step - long * (step // long + 1)) + weeks[0] - weeks[1]
        guess = np.where(np.isnan(last_week), guess, (guess + last_week) / 2)
    columns = [step + 1.0, guess, *lags, np.median(np.stack(lags), axis=0), *newest, *levels, before]
    columns.append((scale / (np.abs(level) + scale))[:, None])
    if long:
        columns += _long_ago(at, origin, step, season, long)
    columns += _calendar(past, origin + step)
    shape = (len(origins), horizon)
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1), guess, level, scale


def _long_ago(at: Callable, origin: np.ndarray, step: np.ndarray, season: int, long: int) -> list[np.ndarray]:
    """The values around the target's place in the last long season, and how the level changed from there to then."""
    far = origin + step - long * (step // long + 1)
    latest = origin - 1
    around = [at(np.minimum(far + days, latest)) for days in (-season, -1, 0, 1, season)]
    week = np.mean([at(np.minimum(far + place - season // 2, latest)) for place in range(season)], axis=0)
    start = np.mean([at(origin - long - 1 - back) for back in range(season)], axis=0)
    return [*around, at(far - long), week, week - start]


def _guess(season: int, lags: list[np.ndarray], newest: np.ndarray, drift: np.ndarray) -> np.ndarray:
    """The mean of the place in the last days or weeks; within years the last one and its drift; else the newest value.

    A year of weeks moves too much for its last one to be a guess.
    """
    if season in (24, 7):
        guess = np.mean(np.stack(lags[:4]), axis=0)
    elif season in (12, 4):
        guess = lags[0] + drift
    else:
        guess = newest + np.zeros_like(lags[0])
    return np.where(np.isnan(guess), newest, guess)


def _calendar(past: Series, place: np.ndarray) -> list[np.ndarray]:
    ds = past.ds.append(past.steps_after(place.shape[1]))
    parts = {
        24: [ds.hour, ds.day_of_week, ds.day_of_week * 24 + ds.hour],
        7: [ds.day_of_week, ds.day, ds.day_of_year, ds.isocalendar().week],
        52: [ds.day_of_year],
        12: [ds.month],
        4: [ds.quarter],
    }
    return [part.to_numpy(float)[place] for part in parts.get(past.season, [])]


def _mean_before(values: np.ndarray, origins: np.ndarray, width: int) -> np.ndarray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    begin = np.maximum(origins - width, 0)
    return (total[origins] - total[begin]) / np.maximum(origins - begin, 1)


def _scale_before(y: np.ndarray, origins: np.ndarray, season: int, level: np.ndarray) -> np.ndarray:
    """The mean change from season to season over the last eight, never quite zero."""
    changes = np.abs(np.concatenate([np.zeros(season), y[season:] - y[:-season]]))
    size = _mean_before(changes, origins, 8 * max(season, 7))
    return np.maximum(size, np.maximum(0.01 * np.abs(level), 1e-9))


class Linear:
    """Ridge regression from a window of newest values to every step ahead, learned on all series together.

    As in the linear models of Zeng and others (2023), values are relative to the window's own level and deviation.
    Each series uses the longest window that leaves it two horizons of examples.
    """

    def __init__(self, pasts: Sequence[Series], horizon: int) -> None:
        kinds = {(past.season, _window(past, horizon)) for past in pasts}
        self.maps = {
            (season, window): _ridge([past for past in pasts if past.season == season], window, horizon)
            for season, window in kinds
            if window is not None
        }

    def predict(self, past: Series, horizon: int) -> np.ndarray | None:
        """The path after `past`; None where it is too short."""
        window = _window(past, horizon)
        if (past.season, window) not in self.maps:
            return None
        recent = filled(past.y, past.season)[None, -window:]
        level, scale = _standard(recent, past.season)
        return (level + scale * (((recent - level) / scale) @ self.maps[past.season, window]))[0]


def _window(past: Series, horizon: int) -> int | None:
    return next((some for some in LINEAR_WINDOWS[past.season] if some + 2 * horizon <= len(past.y)), None)


def _standard(windows: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    level = windows[:, -season:].mean(axis=1, keepdims=True)
    return level, np.abs(windows - level).mean(axis=1, keepdims=True) + 1e-9


def _ridge(pasts: Sequence[Series], window: int, horizon: int) -> np.ndarray:
    random = np.random.default_rng(0)
    most = max(2, LINEAR_ROWS // len(pasts))
    x, y = [], []
    for past in pasts:
        ends = np.arange(window, len(past.y) - horizon + 1)
        if len(ends) > most:
            ends = random.choice(ends, most, replace=False)
        if len(ends):
            values = filled(past.y, past.season)
            before = values[ends[:, None] + np.arange(-window, 0)]
            level, scale = _standard(before, past.season)
            x.append((before - level) / scale)
            y.append((values[ends[:, None] + np.arange(horizon)] - level) / scale)
    x, y = np.concatenate(x), np.clip(np.concatenate(y), -FARTHEST, FARTHEST)
    return np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(window), x.T @ y)
