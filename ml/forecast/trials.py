"""Past origins: what each member would have said then, and how members are weighed by what they got wrong."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ml.forecast import events, prophet
from ml.forecast.boosting import Boosting, Linear
from ml.forecast.members import LOCAL, local_paths
from ml.forecast.series import Series, filled

ORIGINS = 3  # past origins that weights and intervals are learned from
PROPHET = "Prophet"
BASELINE = "SeasonalNaive"
LIKENESS = "Waves"  # of Prophet: not in the combination, where it made months and weeks worse
CHANCE = 1.3  # Prophet is tried where its likeness, and then itself, errs at most so many times as much as the best
POWER = 3
PRIOR_ORIGINS = 1.0  # a member's record on all series counts as much as one origin of its own

Weights = dict[str, float]
Trials = dict[str, list["Trial"]]


@dataclass(frozen=True)
class Trial:
    """What each member said at a past origin, beside what then happened."""

    origin: int
    actual: np.ndarray
    predicted: dict[str, np.ndarray]

    def known_at(self, moment: int) -> "Trial":
        seen = moment - self.origin
        return Trial(self.origin, self.actual[:seen], {name: path[:seen] for name, path in self.predicted.items()})

    def errors(self, weights: Weights) -> np.ndarray:
        """Absolute errors by step, nan where the truth is not known."""
        return np.abs(self.actual - blend(self.predicted, weights))


def blend(paths: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    """The weighted mean of the members that speak here, as not every member speaks at every length of history."""
    told = {name: weight for name, weight in weights.items() if name in paths} or {BASELINE: 1.0}
    return sum(weight * paths[name] for name, weight in told.items()) / sum(told.values())


def known_before(trials: Trials, origins: dict[str, int]) -> Trials:
    """What was known at each series' origin of the trials before it."""
    return {
        name: [trial.known_at(origin) for trial in trials[name] if trial.origin < origin]
        for name, origin in origins.items()
    }


# Trying --------------------------------------------------------------------------------------------------------------


def try_all(many: Sequence[Series], horizon: int, windows: int = 0, is_prophet_judged: bool = False) -> Trials:
    """Trials at `windows` + ORIGINS past origins of each series, newest first; none where the history is too short.

    Members that learn from all series are trained anew for each of the `windows` newest origins, and for the others
    once, on what was known at the oldest. Prophet is tried where it has a chance, and at all `windows` if it is to be
    judged there itself.
    """
    origins = {one.unique_id: origins_of(one, horizon, windows + ORIGINS) for one in many}
    rounds = []
    for turn in range(windows + ORIGINS):
        pasts = [one.until(origins[one.unique_id][turn]) for one in many if len(origins[one.unique_id]) > turn]
        rounds.append([events.taken_out(past, horizon) for past in pasts])
    trials: Trials = {one.unique_id: [] for one in many}
    whole = {one.unique_id: one for one in many}
    oldest = [
        events.taken_out(one.until(origins[one.unique_id][-1]), horizon) for one in many if origins[one.unique_id]
    ]
    members: dict = {}
    for turn, pasts in enumerate(rounds):
        if pasts and turn <= windows:
            learned_from = pasts if turn < windows else oldest
            members = global_members([past for past, _ in learned_from], horizon)
        for past, effect in pasts:
            trials[past.unique_id].append(_trial(whole[past.unique_id], past, effect, members, horizon))
    _try_prophet(trials, rounds, horizon, windows, is_prophet_judged)
    return trials


def global_members(pasts: Sequence[Series], horizon: int) -> dict:
    """The members that learn from all series, trained on these."""
    return {"Boosting": Boosting(pasts, horizon), "Linear": Linear(pasts, horizon)}


def paths(past: Series, members: dict, horizon: int, wanted: Collection[str] = LOCAL) -> dict[str, np.ndarray]:
    """What the `wanted` members of one series and those of all series say of the steps after `past`."""
    told = local_paths(filled(past.y, past.season), past.season, horizon, wanted)
    for name, member in members.items():
        path = member.predict(past, horizon)
        if path is not None and np.isfinite(path).all():
            told[name] = path
    return told


def _trial(one: Series, past: Series, effect: "events.Effect", members: dict, horizon: int) -> Trial:
    origin = len(past.y)
    steps = min(horizon, len(one.y) - origin)
    told = {name: effect.put_back(path)[:steps] for name, path in paths(past, members, horizon).items()}
    return Trial(origin, one.y[origin : origin + steps], told)


def _try_prophet(trials: Trials, rounds: list, horizon: int, windows: int, is_judged: bool) -> None:
    """Where its likeness has a chance: at the newest origin before those judged, then at all where it had one there."""
    judged = {name: some[windows - 1].origin for name, some in trials.items() if windows and len(some) >= windows}

    def before() -> Trials:
        return known_before(trials, judged) if windows else trials

    hopeful = {name for name, some in before().items() if _has_chance(some, LIKENESS)}
    _add_prophet(trials, rounds, horizon, lambda name, turn: turn == windows and name in hopeful)
    known = before()
    chances = {name for name in hopeful if _has_chance(known[name][:1], PROPHET)}
    _add_prophet(
        trials,
        rounds,
        horizon,
        lambda name, turn: (is_judged and turn < windows) or (turn != windows and name in chances),
    )


def _add_prophet(trials: Trials, rounds: list, horizon: int, is_asked: Callable[[str, int], bool]) -> None:
    jobs = [
        (past, effect, trials[past.unique_id][turn])
        for turn, pasts in enumerate(rounds)
        for past, effect in pasts
        if is_asked(past.unique_id, turn)
    ]
    models = prophet.fit_all([past for past, *_ in jobs])
    for model, (past, effect, trial) in zip(models, jobs, strict=True):
        path = prophet.continue_model(model, past.steps_after(horizon))
        trial.predicted[PROPHET] = effect.put_back(path)[: len(trial.actual)]


def _has_chance(trials: Sequence[Trial], name: str) -> bool:
    """Whether Prophet, or its likeness, came near the best member."""
    errors = {member: mean_error(trials, {member: 1.0}) for member in roster(trials)}
    return name in errors and not errors[name] > CHANCE * min(errors.values())


def origins_of(one: Series, horizon: int, count: int) -> list[int]:
    """Up to `count` past origins, newest first: a horizon apart where the history allows it, else closer."""
    observed = np.cumsum(~np.isnan(one.y))
    first = int(np.searchsorted(observed, max(2 * one.season + 2, 8))) + 1
    last = len(one.y) - horizon
    if last < first:  # too short for a whole horizon: judge the steps that there are
        last = (first + len(one.y)) // 2
    if one.is_short or last < first or last >= len(one.y):
        return []
    step = min(horizon, max(1, (last - first) // max(1, count - 1)))
    return list(range(last, first - 1, -step))[:count]


# Weighing ------------------------------------------------------------------------------------------------------------


def roster(trials: Sequence[Trial]) -> list[str]:
    """The members that spoke at every one of these origins."""
    names = [set(trial.predicted) for trial in trials]
    return sorted(set.intersection(*names)) if names else []


def weigh(trials: Sequence[Trial], record: dict[str, float]) -> Weights:
    """Weights ∝ 1 / error³ over past origins, each error drawn towards the member's `record` on all series.

    On one series 1 / mean absolute error³ is 1 / MASE³.
    """
    names = [name for name in roster(trials) if name != LIKENESS]
    errors = {name: mean_error(trials, {name: 1.0}) for name in names}
    if np.isnan(min(errors.values())):
        return dict.fromkeys(names, 1 / len(names))
    if min(errors.values()) == 0:
        exact = [name for name in names if errors[name] == 0]
        return dict.fromkeys(exact, 1 / len(exact))
    logs = _relative(errors)
    own = len(trials)
    drawn = {
        name: (own * logs[name] + PRIOR_ORIGINS * record.get(name, logs[name])) / (own + PRIOR_ORIGINS)
        for name in names
    }
    least = min(drawn.values())
    raw = {name: float(np.exp(-POWER * (drawn[name] - least))) for name in names}
    return {name: share / sum(raw.values()) for name, share in raw.items()}


def _relative(errors: dict[str, float]) -> dict[str, float]:
    """Log errors as distances from the median member's."""
    middle = float(np.median([np.log(error) for error in errors.values()]))
    return {name: float(np.log(error)) - middle for name, error in errors.items()}


def record(trials: Trials) -> dict[str, float]:
    """Each member's mean log error, as a distance from the median member's: every series counts the same."""
    told: dict[str, list[float]] = {}
    for some in trials.values():
        errors = {name: mean_error(some, {name: 1.0}) for name in roster(some)}
        if errors and min(errors.values()) > 0:
            for name, log in _relative(errors).items():
                told.setdefault(name, []).append(log)
    return {name: float(np.mean(logs)) for name, logs in told.items()}


def mean_error(trials: Iterable[Trial], weights: Weights) -> float:
    return mean([trial.errors(weights) for trial in trials])


def mean(parts: Sequence[np.ndarray]) -> float:
    known = np.concatenate(parts) if len(parts) else np.array([])
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
