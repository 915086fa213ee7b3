"""Forecasts of time series with intervals that hold what they claim. Series are long frames: unique_id, ds, y.

Every series is forecast by a roster of members, weighed by what each got wrong at past origins of that series, and the
intervals are as wide as the combination's own past errors. Which series are forecast, and where the results are kept,
is not decided here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml import scores
from ml.forecast import events, prophet, trials
from ml.forecast.intervals import Width, calibrate
from ml.forecast.reconcile import reconcile
from ml.forecast.series import Series, check_request, season_of, split, wall_clock, zone
from ml.forecast.trials import BASELINE, ORIGINS, PROPHET, Trial, Trials, Weights, blend

__all__ = [
    "BASELINE",
    "COMBINATION",
    "Forecaster",
    "Learned",
    "backtest",
    "fit",
    "forecast",
    "learn",
    "predict",
    "reconcile",
    "replay",
]

COMBINATION = "Combination"


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
class Learned:
    """Forecasters, their `scores` as of `backtest`, and what they would have `told` at its origins.

    `told` has unique_id, window (0 is the newest), step (from 1), y, yhat and what the `baseline` would have said.
    """

    forecasters: list[Forecaster]
    scores: pd.DataFrame
    told: pd.DataFrame


def forecast(
    series: pd.DataFrame,
    horizon: int,
    freq: str,
    levels: Sequence[int] = (80, 95),
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
    hierarchy: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Forecast the `horizon` steps that follow each series.

    `series` has unique_id, ds and y; missing steps and nulls are gaps, not zeros. With a time zone, ds is read as that
    zone's wall clock, whose days have 23 to 25 hours, and so are the times returned. `freq` is a pandas frequency:
    hours, days, weeks, months, quarters or years. `country` (ISO 3166) brings its public holidays; `known` has ds,
    maybe unique_id, and a number for each kind of event announced, past ones and coming ones; `hierarchy` names the
    parts of each sum, and makes them add up.
    Returns unique_id, ds, yhat, lo_80, hi_80, … for each of `levels` (percent), and `model`, which says what was
    combined and whether the history was short. A series never negative is never forecast below zero.
    Raises ValueError with one sentence where the series cannot be forecast.
    """
    learned = fit(series, horizon, freq, levels, country=country, known=known)
    return reconcile(predict(learned, series, country=country, known=known), hierarchy or {})


def fit(
    series: pd.DataFrame,
    horizon: int,
    freq: str,
    levels: Sequence[int] = (80, 95),
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
) -> list[Forecaster]:
    """Learn weights, intervals and Prophet's parameters for each series: the part of `forecast` worth keeping."""
    steps, many = _prepare(series, horizon, freq, levels, country, known)
    return _fit(many, trials.try_all(many, steps), freq, steps, levels)


def predict(
    forecasters: Iterable[Forecaster],
    series: pd.DataFrame,
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Forecast from the end of each series in `series` with what `fit` learned, on this or on an earlier history.

    The weights, the intervals and Prophet's parameters are those learned; the other members learn from the newest
    values, those for all series from the series given here.
    """
    learned = {forecaster.unique_id: forecaster for forecaster in forecasters}
    if not learned:
        raise ValueError("There is nothing to forecast with: fit at least one series.")
    first = next(iter(learned.values()))
    many = events.attach(split(series, first.freq), first.horizon, country, known)
    many = [replace(one, season=learned[one.unique_id].season) for one in many if one.unique_id in learned]
    pasts = [events.taken_out(one, first.horizon) for one in many]
    is_global = any({"Boosting", "Linear"} & set(forecaster.weights) for forecaster in learned.values())
    members = trials.global_members([past for past, _ in pasts], first.horizon) if is_global else {}
    frames = [_predict_one(learned[past.unique_id], past, effect, members) for past, effect in pasts]
    told = pd.concat(frames, ignore_index=True)
    return told if zone(series) is None else _on_real_times(told, series, first)


def backtest(
    series: pd.DataFrame,
    horizon: int,
    freq: str,
    windows: int,
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score every member of the roster and their combination at `windows` past origins of each series.

    At each origin everything (weights and intervals too) is learned from what was known there. Returns one row per
    unique_id and model: windows, mase, smape (percent), coverage_80, coverage_95 (shares) and pinball (the mean over
    the quantiles 2.5, 10, 90 and 97.5 %), means over the windows; the last three are nan where no past of a member
    could tell its intervals. Series too short for one origin are left out.
    """
    if windows < 1:
        raise ValueError(f"A backtest needs at least one window, not {windows}.")
    steps, many = _prepare(series, horizon, freq, (80, 95), country, known)
    return _score_windows(many, trials.try_all(many, steps, windows, is_prophet_judged=True), windows, steps)


def learn(
    series: pd.DataFrame,
    horizon: int,
    freq: str,
    levels: Sequence[int] = (80, 95),
    windows: int = 3,
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
) -> Learned:
    """`fit` and `backtest` at once: what is forecast at past origins to score it also teaches weights and intervals."""
    steps, many = _prepare(series, horizon, freq, levels, country, known)
    tried = trials.try_all(many, steps, windows)
    return Learned(
        _fit(many, tried, freq, steps, levels),
        _score_windows(many, tried, windows, steps),
        _told_windows(many, tried, windows),
    )


def replay(
    forecasters: Iterable[Forecaster],
    series: pd.DataFrame,
    windows: int,
    *,
    country: str | None = None,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What forecasters learned earlier would have said at the `windows` newest origins: those of `learn`.

    Returns unique_id, window (0 is the newest), step (from 1) and yhat, for the series that are known to them. What
    they learned may come from after an origin: that is in their favour.
    """
    learned = {forecaster.unique_id: forecaster for forecaster in forecasters}
    first = next(iter(learned.values()))
    many = events.attach(split(series, first.freq), first.horizon, country, known)
    many = [replace(one, season=learned[one.unique_id].season) for one in many if one.unique_id in learned]
    origins = {one.unique_id: trials.origins_of(one, first.horizon, windows + ORIGINS)[:windows] for one in many}
    frames = []
    for window in range(windows):
        judged = [one for one in many if len(origins[one.unique_id]) > window]
        pasts = [events.taken_out(one.until(origins[one.unique_id][window]), first.horizon) for one in judged]
        members = trials.global_members([past for past, _ in pasts], first.horizon) if pasts else {}
        for one, (past, effect) in zip(judged, pasts, strict=True):
            yhat = _predict_one(learned[one.unique_id], past, effect, members)["yhat"].to_numpy()
            frames.append(_told(one.unique_id, window, yhat[: len(one.y) - len(past.y)]))
    return pd.concat(frames, ignore_index=True) if frames else _told("", 0, np.empty(0))


def _prepare(
    series: pd.DataFrame,
    horizon: int,
    freq: str,
    levels: Sequence[int],
    country: str | None,
    known: pd.DataFrame | None,
) -> tuple[int, list[Series]]:
    """The steps to forecast on the wall clock, which may skip an hour, and the series."""
    check_request(horizon, levels)
    steps = horizon + 1 if zone(series) is not None and freq == "h" else horizon
    return steps, events.attach(split(series, freq), steps, country, known)


def _on_real_times(told: pd.DataFrame, series: pd.DataFrame, learned: Forecaster) -> pd.DataFrame:
    """Forecasts on the wall clock brought to the times that there are: an hour may be skipped or come twice."""
    horizon = learned.horizon - 1 if learned.freq == "h" else learned.horizon
    frames = []
    for name, one in told.groupby("unique_id", sort=False):
        last = series.loc[series["unique_id"].astype(str) == name, "ds"].max()
        ds = pd.Series(pd.date_range(last, periods=horizon + 1, freq=learned.freq)[1:])
        at = one.set_index("ds").reindex(wall_clock(ds))
        frames.append(at.reset_index(drop=True).assign(ds=ds)[told.columns])
    return pd.concat(frames, ignore_index=True)


# Learning ------------------------------------------------------------------------------------------------------------


def _fit(many: list[Series], tried: Trials, freq: str, horizon: int, levels: Sequence[int]) -> list[Forecaster]:
    weights, widths = _weights_and_widths(many, tried, horizon, levels)
    with_prophet = [one for one in many if PROPHET in weights.get(one.unique_id, {})]
    pasts = [events.taken_out(one, horizon)[0] for one in with_prophet]
    models = dict(zip([one.unique_id for one in with_prophet], prophet.fit_all(pasts), strict=True))
    return [
        _short_forecaster(one, freq, horizon, levels)
        if one.unique_id not in widths
        else _forecaster(one, freq, tried[one.unique_id], weights[one.unique_id], widths, models, levels)
        for one in many
    ]


def _weights_and_widths(
    many: list[Series], tried: Trials, horizon: int, levels: Sequence[int]
) -> tuple[dict[str, Weights], dict[str, Width]]:
    record = trials.record(tried)
    weights = {name: trials.weigh(some, record) for name, some in tried.items() if some}
    return weights, calibrate(many, tried, lambda some: trials.weigh(some, record), horizon, levels)


def _forecaster(
    one: Series, freq: str, tried: list[Trial], weights: Weights, widths: dict, models: dict, levels: Sequence[int]
) -> Forecaster:
    spread, reach = widths[one.unique_id]
    model = models.get(one.unique_id)
    return Forecaster(
        unique_id=one.unique_id,
        freq=freq,
        season=one.season,
        weights=weights,
        spread=spread,
        reach={level: [float(width) for width in reach[level]] for level in levels},
        is_nonnegative=one.is_nonnegative,
        note=_note(one, freq, tried),
        prophet=model and prophet.dumps(model),
    )


def _note(one: Series, freq: str, tried: list[Trial]) -> str:
    """Why less could be learned than usual, if so."""
    if one.season < season_of(freq):
        return f"short history: {len(one.y)} values, less than two seasons"
    return "" if len(tried) >= ORIGINS else f"short history: {len(tried)} past origins"


def _short_forecaster(one: Series, freq: str, horizon: int, levels: Sequence[int]) -> Forecaster:
    """The last season repeated, with intervals of Student's distribution over the few differences that there are."""
    from scipy.stats import t as student

    observed = np.count_nonzero(~np.isnan(one.y))
    scale = scores.seasonal_scale(one.y, one.season)
    # a few equal values prove little
    spread = max(0.0 if np.isnan(scale) else scale, 0.1 * float(np.nanmean(np.abs(one.y))))
    growth = np.sqrt(1 + np.arange(horizon) // one.season) * np.sqrt(np.pi / 2)
    freedom = max(1, observed - one.season - 1)
    return Forecaster(
        unique_id=one.unique_id,
        freq=freq,
        season=one.season,
        weights={BASELINE: 1.0},
        spread=spread,
        reach={level: (growth * student.ppf(0.5 + level / 200, freedom)).tolist() for level in levels},
        is_nonnegative=one.is_nonnegative,
        note=f"short history: {observed} values",
        prophet=None,
    )


# Predicting ----------------------------------------------------------------------------------------------------------


def _predict_one(learned: Forecaster, past: Series, effect: events.Effect, members: dict) -> pd.DataFrame:
    ds = past.steps_after(learned.horizon)
    told = trials.paths(past, members, learned.horizon, learned.weights)
    if learned.prophet:
        told[PROPHET] = prophet.continue_model(prophet.loads(learned.prophet), ds)
    yhat = effect.put_back(blend(told, learned.weights))
    frame = _interval_frame(yhat, learned.spread, learned.reach, learned.is_nonnegative)
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


# Scoring -------------------------------------------------------------------------------------------------------------


def _score_windows(many: list[Series], tried: Trials, windows: int, horizon: int) -> pd.DataFrame:
    rows = [row for window in range(windows) for row in _score_window(many, tried, window, horizon)]
    columns = ["unique_id", "model", "mase", "smape", "coverage_80", "coverage_95", "pinball"]
    frame = pd.DataFrame(rows, columns=columns)
    grouped = frame.groupby(["unique_id", "model"], sort=True)
    result = grouped.mean()
    result.insert(0, "windows", grouped.size())
    return result.reset_index()


def _score_window(many: list[Series], tried: Trials, window: int, horizon: int) -> list[tuple]:
    """Rows of scores at the `window`-th newest origin of every series that has one."""
    judged = _judged(tried, window)
    past = trials.known_before(tried, {name: trial.origin for name, trial in judged.items()})
    histories = {one.unique_id: one.until(judged[one.unique_id].origin) for one in many if one.unique_id in judged}
    weights, widths = _weights_and_widths(list(histories.values()), past, horizon, (80, 95))
    rows = []
    for name, trial in judged.items():
        # without a past, the baseline
        own = {COMBINATION: weights.get(name, {BASELINE: 1.0})} | {member: {member: 1.0} for member in trial.predicted}
        for model, mix in own.items():
            width = widths.get(name) if model == COMBINATION else None
            rows.append(_score(histories[name], trial, model, mix, width))
    return rows


def _judged(tried: Trials, window: int) -> dict[str, Trial]:
    """The `window`-th newest trial of every series that has one, and a truth to it."""
    judged = {name: some[window] for name, some in tried.items() if len(some) > window}
    return {name: trial for name, trial in judged.items() if not np.isnan(trial.actual).all()}


def _told_windows(many: list[Series], tried: Trials, windows: int) -> pd.DataFrame:
    """What the combination said at past origins, with the weights that could be known there."""
    frames = [_told("", 0, np.empty(0)).assign(y=0.0, baseline=0.0)]
    nonnegative = {one.unique_id: one.is_nonnegative for one in many}
    for window in range(windows):
        judged = _judged(tried, window)
        past = trials.known_before(tried, {name: trial.origin for name, trial in judged.items()})
        record = trials.record(past)
        for name, trial in judged.items():
            weights = trials.weigh(past[name], record) if past[name] else {BASELINE: 1.0}
            yhat = blend(trial.predicted, weights)
            told = _told(name, window, np.maximum(yhat, 0) if nonnegative[name] else yhat)
            frames.append(told.assign(y=trial.actual, baseline=trial.predicted[BASELINE]))
    return pd.concat(frames, ignore_index=True)


def _told(name: str, window: int, yhat: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": name, "window": window, "step": np.arange(1, len(yhat) + 1), "yhat": yhat})


def _score(history: Series, trial: Trial, model: str, weights: Weights, width: Width | None) -> tuple:
    spread, reach = width or (float("nan"), {level: np.full(len(trial.actual), np.nan) for level in (80, 95)})
    frame = _interval_frame(blend(trial.predicted, weights), spread, reach, history.is_nonnegative)
    actual, yhat = trial.actual, frame["yhat"].to_numpy()
    quantiles = [("lo_95", 0.025), ("lo_80", 0.1), ("hi_80", 0.9), ("hi_95", 0.975)]
    lost = [scores.pinball(actual, frame[column].to_numpy(), share) for column, share in quantiles] if width else np.nan
    return (
        history.unique_id,
        model,
        scores.mase(actual, yhat, history.y, history.season),
        scores.smape(actual, yhat),
        scores.coverage(actual, frame["lo_80"], frame["hi_80"]) if width else float("nan"),
        scores.coverage(actual, frame["lo_95"], frame["hi_95"]) if width else float("nan"),
        float(np.mean(lost)),
    )
