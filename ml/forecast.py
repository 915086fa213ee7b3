"""Forecasts of time series with intervals that hold what they claim. Series are long frames: unique_id, ds, y.

Every series is forecast by a small roster, weighed by what each member got wrong at past origins of that series, and
the intervals are as wide as the combination's own past errors. Which series are forecast, and where the results are
kept, is not decided here.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml import scores

# Observations in one season, by pandas' name of the frequency without its anchor.
SEASONS = {"min": 1440, "h": 24, "D": 7, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4, "YS": 1, "YE": 1}
COMBINATION = "Combination"
BASELINE = "SeasonalNaive"
ORIGINS = 4  # past origins that weights and intervals are learned from
LARGEST = 1e15
EARLIEST, LATEST = pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01")

Weights = dict[str, float]
Width = tuple[float, dict[int, np.ndarray]]  # the typical error, and half-widths in such errors by level
Weigh = Callable[[list["_Trial"], Iterable[str]], Weights]


@dataclass(frozen=True)
class Forecaster:
    """What was learned of one series: everything that `predict` needs besides the history itself."""

    unique_id: str
    freq: str
    season: int
    weights: Weights
    spread: float  # the typical absolute error, in the unit of the series
    reach: dict[int, list[float]]  # level -> half-width of the interval at each step, in spreads
    is_nonnegative: bool
    note: str  # "" or why less could be learned than usual
    prophet: str | None  # Prophet's own JSON

    @property
    def horizon(self) -> int:
        return len(next(iter(self.reach.values())))


@dataclass(frozen=True)
class _Series:
    """One series on its full grid: `y` is nan where nothing was observed."""

    unique_id: str
    ds: pd.DatetimeIndex
    y: np.ndarray
    season: int

    def until(self, origin: int) -> "_Series":
        return _Series(self.unique_id, self.ds[:origin], self.y[:origin], self.season)

    @property
    def is_short(self) -> bool:
        return np.count_nonzero(~np.isnan(self.y)) < max(2 * self.season, 4)


@dataclass(frozen=True)
class _Trial:
    """What each model said at a past origin, beside what then happened."""

    origin: int
    actual: np.ndarray
    predicted: dict[str, np.ndarray]

    def known_at(self, moment: int) -> "_Trial":
        seen = moment - self.origin
        return _Trial(self.origin, self.actual[:seen], {name: path[:seen] for name, path in self.predicted.items()})

    def errors(self, weights: Weights) -> np.ndarray:
        """Absolute errors by step, nan where the truth is not known."""
        return np.abs(self.actual - _blend(self.predicted, weights))


def forecast(series: pd.DataFrame, horizon: int, freq: str, levels: tuple[int, ...] = (80, 95)) -> pd.DataFrame:
    """Forecast the `horizon` steps that follow each series.

    `series` has unique_id, ds (without zone) and y; missing steps and nulls are gaps, not zeros. `freq` is a pandas
    frequency. Returns unique_id, ds, yhat, lo_80, hi_80, … for each of `levels` (percent), and `model`, which says
    what was combined and whether the history was short. A series never negative is never forecast below zero.
    Raises ValueError with one sentence where the series cannot be forecast.
    """
    return predict(fit(series, horizon, freq, levels), series)


def fit(series: pd.DataFrame, horizon: int, freq: str, levels: tuple[int, ...] = (80, 95)) -> list[Forecaster]:
    """Learn weights, intervals and Prophet's parameters for each series: the part of `forecast` worth keeping."""
    _check_request(horizon, levels)
    many = _split(series, freq)
    return _fit(many, _all_trials(many, horizon, ORIGINS), freq, horizon, levels)


def predict(forecasters: Iterable[Forecaster], series: pd.DataFrame) -> pd.DataFrame:
    """Forecast from the end of each series in `series` with what `fit` learned, on this or on an earlier history."""
    known = {forecaster.unique_id: forecaster for forecaster in forecasters}
    if not known:
        raise ValueError("There is nothing to forecast with: fit at least one series.")
    freq = next(iter(known.values())).freq
    frames = [_predict_one(known[one.unique_id], one) for one in _split(series, freq) if one.unique_id in known]
    return pd.concat(frames, ignore_index=True)


def backtest(series: pd.DataFrame, horizon: int, freq: str, windows: int) -> pd.DataFrame:
    """Score every model of the roster and their combination at `windows` past origins of each series.

    At each origin everything (weights and intervals too) is learned from what was known there. Returns one row per
    unique_id and model: windows, mase, smape (percent), coverage_80, coverage_95 (shares) and pinball (the mean over
    the quantiles 2.5, 10, 90 and 97.5 %), means over the windows. Series too short for one origin are left out.
    """
    _check_request(horizon, (80, 95))
    if windows < 1:
        raise ValueError(f"A backtest needs at least one window, not {windows}.")
    many = _split(series, freq)
    return _score_windows(many, _all_trials(many, horizon, windows + ORIGINS), windows, horizon)


def learn(
    series: pd.DataFrame, horizon: int, freq: str, levels: tuple[int, ...] = (80, 95), windows: int = 3
) -> tuple[list[Forecaster], pd.DataFrame]:
    """`fit` and `backtest` at once: what is forecast at past origins to score it also teaches weights and intervals."""
    _check_request(horizon, levels)
    many = _split(series, freq)
    trials = _all_trials(many, horizon, windows + ORIGINS)
    return _fit(many, trials, freq, horizon, levels), _score_windows(many, trials, windows, horizon)


def _score_windows(many: list[_Series], trials: dict[str, list[_Trial]], windows: int, horizon: int) -> pd.DataFrame:
    rows = [row for window in range(windows) for row in _score_window(many, trials, window, horizon)]
    columns = ["unique_id", "model", "mase", "smape", "coverage_80", "coverage_95", "pinball"]
    frame = pd.DataFrame(rows, columns=columns)
    grouped = frame.groupby(["unique_id", "model"], sort=True)
    result = grouped.mean()
    result.insert(0, "windows", grouped.size())
    return result.reset_index()


def _fit(
    many: list[_Series], trials: dict[str, list[_Trial]], freq: str, horizon: int, levels: tuple[int, ...]
) -> list[Forecaster]:
    widths = _calibrate(trials, _weigh, horizon, levels)
    return [_forecaster(one, trials[one.unique_id], widths.get(one.unique_id), freq, horizon, levels) for one in many]


# Input ---------------------------------------------------------------------------------------------------------------


def _check_request(horizon: int, levels: tuple[int, ...]) -> None:
    if horizon < 1:
        raise ValueError(f"The horizon is {horizon}: ask for at least one step.")
    if wrong := [level for level in levels if not 0 < level < 100]:
        raise ValueError(f"The level {wrong[0]} is not a percentage between 0 and 100: ask for 80 or 95.")


def _split(series: pd.DataFrame, freq: str) -> list[_Series]:
    """Check ranges, which Prophet does not, and put each series on its full grid."""
    if missing := {"unique_id", "ds", "y"} - set(series.columns):
        raise ValueError(f"The series frame has no column {sorted(missing)[0]}: it needs unique_id, ds and y.")
    if getattr(series["ds"].dtype, "tz", None) is not None:
        raise ValueError("ds carries a time zone: pass the series in the clock that its seasons follow.")
    frame = series.assign(ds=pd.to_datetime(series["ds"]), y=series["y"].astype(float))
    size = np.abs(frame["y"].to_numpy())
    if np.nanmax(size, initial=0.0) > LARGEST:
        raise ValueError(f"y reaches {np.nanmax(size):g}, beyond ±{LARGEST:g}: correct it or pass it in a larger unit.")
    if frame["ds"].isna().any() or (len(frame) and not frame["ds"].between(EARLIEST, LATEST).all()):
        raise ValueError(f"ds holds times outside {EARLIEST:%Y} to {LATEST:%Y}: correct or leave out those rows.")
    if frame.duplicated(["unique_id", "ds"]).any():
        twice = frame[frame.duplicated(["unique_id", "ds"])].iloc[0]
        raise ValueError(f"Series {twice.unique_id} has {twice.ds} twice: aggregate it first.")
    offset = pd.tseries.frequencies.to_offset(freq)
    season = SEASONS.get(offset.rule_code.split("-")[0])
    if season is None or offset.n != 1:
        raise ValueError(f"The frequency {freq!r} is not known here: use one of {', '.join(SEASONS)}.")
    return [_regular(str(name), one, freq, season) for name, one in frame.groupby("unique_id", sort=True)]


def _regular(unique_id: str, frame: pd.DataFrame, freq: str, season: int) -> _Series:
    observed = frame.loc[frame["y"].notna(), "ds"]
    if len(observed) < 2:
        raise ValueError(f"Series {unique_id} has {len(observed)} observed values: a forecast needs at least two.")
    grid = pd.date_range(observed.min(), frame["ds"].max(), freq=freq)
    if not observed.isin(grid).all():
        raise ValueError(f"Series {unique_id} has times that are no steps of {freq!r}: round or aggregate them first.")
    y = frame.set_index("ds")["y"].reindex(grid).to_numpy()
    return _Series(unique_id, grid, y, season if len(grid) >= 2 * season else 1)


# The roster ----------------------------------------------------------------------------------------------------------


def _seasonal_naive(one: _Series, horizon: int) -> np.ndarray:
    """The newest known value of the same place in the season."""
    return _by_slot(one, horizon, lambda slots: slots.last())


def _seasonal_median(one: _Series, horizon: int) -> np.ndarray:
    """The median of the same place in the last eight seasons: deaf to single odd days."""
    return _by_slot(one, horizon, lambda slots: slots.agg(lambda values: values.dropna().tail(8).median()))


def _by_slot(one: _Series, horizon: int, summarise: Callable) -> np.ndarray:
    length = len(one.y)
    known = summarise(pd.Series(one.y).groupby(np.arange(length) % one.season))
    path = known.to_numpy()[(length + np.arange(horizon)) % one.season]
    return np.where(np.isnan(path), np.nanmedian(one.y), path)


def _prophet(one: _Series, horizon: int) -> np.ndarray:
    return _continue_prophet(_fit_prophet(one), _steps_after(one, horizon))


def _fit_prophet(one: _Series):
    logging.getLogger("prophet").setLevel(logging.CRITICAL)  # that plotting extras are missing is nobody's news
    logging.getLogger("cmdstanpy").disabled = True  # what goes wrong is raised
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.CRITICAL)  # its import has set it anew
    model = Prophet(uncertainty_samples=0)  # intervals are calibrated below; Prophet's own are too narrow
    # Below 100 points Prophet takes Newton's method by default: the same fit, several times slower.
    with tempfile.TemporaryDirectory(prefix="tidemark-prophet-") as scratch:
        model.fit(pd.DataFrame({"ds": one.ds, "y": one.y}), output_dir=scratch, seed=0, algorithm="LBFGS")
    model.fit_kwargs = {}  # names the scratch folder: the same data must give the same JSON
    return model


def _continue_prophet(model, ds: pd.DatetimeIndex) -> np.ndarray:
    return model.predict(pd.DataFrame({"ds": ds}))["yhat"].to_numpy()


ROSTER: dict[str, Callable[[_Series, int], np.ndarray]] = {
    "Prophet": _prophet,
    "SeasonalMedian": _seasonal_median,
    BASELINE: _seasonal_naive,
}


def _roster(one: _Series) -> list[str]:
    """Years follow a trend and do not repeat at one level, so the median over eight is only for days and weeks."""
    is_within_weeks = one.ds.freq.rule_code in ("min", "h", "D")
    return [name for name in ROSTER if is_within_weeks or name != "SeasonalMedian"]


def _steps_after(one: _Series, horizon: int) -> pd.DatetimeIndex:
    return pd.date_range(one.ds[-1], periods=horizon + 1, freq=one.ds.freq)[1:]


def _blend(paths: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    return sum(weight * paths[name] for name, weight in weights.items())


# Past origins, weights, intervals ------------------------------------------------------------------------------------


def _origins(one: _Series, horizon: int, count: int) -> list[int]:
    """Up to `count` past origins, newest first: a horizon apart where the history allows it, else closer."""
    observed = np.cumsum(~np.isnan(one.y))
    first = int(np.searchsorted(observed, max(3 * one.season, 8))) + 1
    last = len(one.y) - horizon
    if last < first:  # too short for a whole horizon: judge the steps that there are
        last = (first + len(one.y)) // 2
    if one.is_short or last < first or last >= len(one.y):
        return []
    step = min(horizon, max(1, (last - first) // max(1, count - 1)))
    return [origin for origin in range(last, first - 1, -step)][:count]


def _all_trials(many: list[_Series], horizon: int, origins: int) -> dict[str, list[_Trial]]:
    return {one.unique_id: _trials(one, horizon, _origins(one, horizon, origins)) for one in many}


def _trials(one: _Series, horizon: int, origins: list[int]) -> list[_Trial]:
    def trial(origin: int) -> _Trial:
        steps = min(horizon, len(one.y) - origin)
        past = one.until(origin)
        paths = {name: ROSTER[name](past, steps) for name in _roster(one)}
        return _Trial(origin, one.y[origin : origin + steps], paths)

    return [trial(origin) for origin in origins]


def _weigh(trials: list[_Trial], roster: Iterable[str]) -> Weights:
    """Weights ∝ 1 / (mean absolute error)³ over past origins: on one series the same as 1 / MASE³. Equal at first."""
    errors = {name: _mean_error(trials, {name: 1.0}) for name in roster}
    least = min(errors.values())
    if not trials or np.isnan(least):
        raw = dict.fromkeys(roster, 1.0)
    elif least == 0.0:
        raw = {name: float(error == 0.0) for name, error in errors.items()}
    else:
        raw = {name: (least / error) ** 3 for name, error in errors.items()}
    return {name: share / sum(raw.values()) for name, share in raw.items()}


def _mean_error(trials: list[_Trial], weights: Weights) -> float:
    errors = [trial.errors(weights) for trial in trials]
    known = np.concatenate(errors) if errors else np.array([])
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def _known_before(trials: list[_Trial], origin: int) -> list[_Trial]:
    return [trial.known_at(origin) for trial in trials if trial.origin < origin]


def _honest_errors(trials: list[_Trial], weigh: Weigh) -> list[np.ndarray]:
    """Each trial's errors with the weights that were known at its origin."""
    return [trial.errors(weigh(_known_before(trials, trial.origin), trial.predicted)) for trial in trials]


def _calibrate(
    trials: dict[str, list[_Trial]],
    weigh: Weigh,
    horizon: int,
    levels: tuple[int, ...],
) -> dict[str, Width]:
    """Each series' typical error, and by level the half-width of its interval at each step in such errors.

    Split conformal prediction on errors that are scaled per series and pooled over all: an error is divided by the
    series' typical error at its *other* origins, so that not knowing the scale exactly widens the interval too.
    """
    errors = {name: _honest_errors(some, weigh) for name, some in trials.items() if some}
    spreads = {name: _mean(paths) for name, paths in errors.items()}
    scaled: list[np.ndarray] = []
    for name, paths in errors.items():
        for left_out, path in enumerate(paths):
            others = _mean([other for place, other in enumerate(paths) if place != left_out])
            scale = others if others > 0 else spreads[name]
            if scale > 0:
                scaled.append(path / scale)
    reach = _reach(scaled, horizon, levels)
    return {name: (spread, reach) for name, spread in spreads.items() if not np.isnan(spread)}


def _mean(paths: list[np.ndarray]) -> float:
    known = np.concatenate(paths) if paths else np.array([np.nan])
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def _reach(scaled: list[np.ndarray], horizon: int, levels: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Conformal quantiles by step, pooled over thirds of the horizon and never narrowing with distance."""
    if not scaled:
        return {level: np.zeros(horizon) for level in levels}  # every past error was exactly zero
    table = np.full((len(scaled), horizon), np.nan)
    for row, path in enumerate(scaled):
        table[row, : len(path)] = path
    reach = {}
    for level in levels:
        steps = np.empty(horizon)
        for part in np.array_split(np.arange(horizon), min(3, horizon)):
            values = table[:, part][~np.isnan(table[:, part])]
            steps[part] = _conformal_quantile(values, level) if len(values) else np.nan
        reach[level] = _extended(steps)
    return reach


def _conformal_quantile(values: np.ndarray, level: int) -> float:
    """The ⌈(n + 1) · level⌉-th smallest value (Vovk 2005); with too few values for the level, 1.5 times the largest."""
    rank = int(np.ceil((len(values) + 1) * level / 100))
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else 1.5 * float(values.max())


def _extended(steps: np.ndarray) -> np.ndarray:
    """Never narrower further out; beyond the reach of past errors, growing with the square root of the distance."""
    from scipy.optimize import isotonic_regression

    reached = int(np.flatnonzero(~np.isnan(steps))[-1]) + 1
    beyond = np.arange(reached, len(steps))
    rising = isotonic_regression(steps[:reached]).x
    return np.concatenate([rising, rising[-1] * np.sqrt((beyond + 1) / reached)])


# Putting it together -------------------------------------------------------------------------------------------------


def _forecaster(
    one: _Series, trials: list[_Trial], width: "Width | None", freq: str, horizon: int, levels: tuple[int, ...]
) -> Forecaster:
    if not trials or width is None:
        return _short_forecaster(one, freq, horizon, levels)
    from prophet.serialize import model_to_json

    spread, reach = width
    note = "" if len(trials) >= ORIGINS else f"short history: {len(trials)} past origins"
    return Forecaster(
        unique_id=one.unique_id,
        freq=freq,
        season=one.season,
        weights=_weigh(trials, _roster(one)),
        spread=spread,
        reach={level: [float(width) for width in reach[level]] for level in levels},
        is_nonnegative=bool(np.nanmin(one.y) >= 0),
        note=note,
        prophet=model_to_json(_fit_prophet(one)),
    )


def _short_forecaster(one: _Series, freq: str, horizon: int, levels: tuple[int, ...]) -> Forecaster:
    """The last season repeated, with intervals of Student's distribution over the few differences that there are."""
    from scipy.stats import t as student

    differences = np.count_nonzero(~np.isnan(one.y)) - one.season
    spread = scores.seasonal_scale(one.y, one.season)
    spread = max(
        0.0 if np.isnan(spread) else spread, 0.1 * float(np.nanmean(np.abs(one.y)))
    )  # a few equal values prove little
    growth = np.sqrt(1 + np.arange(horizon) // one.season) * np.sqrt(np.pi / 2)
    reach = {level: growth * student.ppf(0.5 + level / 200, max(1, differences - 1)) for level in levels}
    return Forecaster(
        unique_id=one.unique_id,
        freq=freq,
        season=one.season,
        weights={BASELINE: 1.0},
        spread=spread,
        reach={level: [float(width) for width in reach[level]] for level in levels},
        is_nonnegative=bool(np.nanmin(one.y) >= 0),
        note=f"short history: {np.count_nonzero(~np.isnan(one.y))} values",
        prophet=None,
    )


def _predict_one(learned: Forecaster, one: _Series) -> pd.DataFrame:
    ds = _steps_after(one, learned.horizon)
    paths = {
        name: model(one, learned.horizon)
        for name, model in ROSTER.items()
        if name in learned.weights and name != "Prophet"
    }
    if learned.prophet:
        from prophet.serialize import model_from_json

        paths["Prophet"] = _continue_prophet(model_from_json(learned.prophet), ds)
    frame = _interval_frame(_blend(paths, learned.weights), learned.spread, learned.reach, learned.is_nonnegative)
    frame.insert(0, "ds", ds)
    frame.insert(0, "unique_id", learned.unique_id)
    return frame.assign(model=_label(learned))


def _interval_frame(yhat: np.ndarray, spread: float, reach: dict, is_nonnegative: bool) -> pd.DataFrame:
    columns = {"yhat": yhat}
    for level, width in reach.items():
        columns[f"lo_{level}"] = yhat - spread * np.asarray(width)[: len(yhat)]
        columns[f"hi_{level}"] = yhat + spread * np.asarray(width)[: len(yhat)]
    frame = pd.DataFrame(columns)
    return frame.clip(lower=0.0) if is_nonnegative else frame


def _label(learned: Forecaster) -> str:
    parts = sorted(learned.weights.items(), key=lambda part: -part[1])
    mixed = " + ".join(f"{weight:.2f} {name}" for name, weight in parts if weight >= 0.005)
    name = parts[0][0] if len(parts) == 1 else mixed
    return f"{name} ({learned.note})" if learned.note else name


def _score_window(many: list[_Series], trials: dict[str, list[_Trial]], window: int, horizon: int) -> list[tuple]:
    """Rows of scores at the `window`-th newest origin of every series that has one."""
    judged = {one.unique_id: trials[one.unique_id][window] for one in many if len(trials[one.unique_id]) > window}
    past = {name: _known_before(trials[name], trial.origin) for name, trial in judged.items()}
    rows = []
    for model in [*ROSTER, COMBINATION]:
        able = {name for name, trial in judged.items() if model == COMBINATION or model in trial.predicted}
        weigh = _weigh if model == COMBINATION else _only(model)
        widths = _calibrate({name: past[name] for name in able}, weigh, horizon, (80, 95))
        for one in many:
            if one.unique_id in able and not np.isnan(judged[one.unique_id].actual).all():
                trial = judged[one.unique_id]
                weights = weigh(past[one.unique_id], trial.predicted)
                rows.append(_score(one, trial, weights, widths.get(one.unique_id), model))
    return rows


def _only(model: str) -> Weigh:
    return lambda _trials, _roster: {model: 1.0}


def _score(one: _Series, trial: _Trial, weights: Weights, width: Width | None, model: str) -> tuple:
    history = one.y[: trial.origin]
    nonnegative = bool(np.nanmin(history) >= 0)
    spread, reach = width or (
        float("nan"),
        {80: np.full(len(trial.actual), np.nan), 95: np.full(len(trial.actual), np.nan)},
    )
    frame = _interval_frame(_blend(trial.predicted, weights), spread, reach, nonnegative)
    actual, yhat = trial.actual, frame["yhat"].to_numpy()
    lost = [("lo_95", 0.025), ("lo_80", 0.1), ("hi_80", 0.9), ("hi_95", 0.975)]
    return (
        one.unique_id,
        model,
        scores.mase(actual, yhat, history, one.season),
        scores.smape(actual, yhat),
        scores.coverage(actual, frame["lo_80"], frame["hi_80"]) if width else float("nan"),
        scores.coverage(actual, frame["lo_95"], frame["hi_95"]) if width else float("nan"),
        float(np.mean([scores.pinball(actual, frame[column].to_numpy(), share) for column, share in lost])),
    )
