"""Trains every model on final figures, scores it out of sample beside a plain baseline, and registers it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.predict import (
    artefacts,
    drifting,
    features,
    forecasts,
    inputs,
    openings,
    prices,
    recommendations,
    registry,
    series,
    workers,
)
from orchestration.predict.forecasts import model_name
from orchestration.predict.made import Challenger, Lesson
from orchestration.predict.registry import Metrics, Model

if TYPE_CHECKING:
    import pandas as pd

    from ml.promotion import Comparison

ANOMALIES = "anomalies_hourly"
CHURN = "churn"
ROOM_SUCCESS = "room_success"
LEAST_HOURS = 28 * 24
LEAST_PEOPLE = 100  # at each cut-off that is learned from or judged
LEAST_ROOMS = 50  # the same, in each week
SEED = 1


@dataclass(frozen=True)
class TrainedModel:
    """What became of a training. `reason` says in one sentence why nothing was trained; then all else is None."""

    name: str
    model_id: str | None = None
    stage: str | None = None
    metrics: Metrics | None = None
    verdict: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class _Outcomes:
    """People or rooms at past cut-offs (the index: cutoff, then who), and what became of them by a horizon."""

    features: "pd.DataFrame"
    labels: "pd.Series"


def train_all(
    connection: psycopg.Connection,
    names: Sequence[str] | None = None,
    on_model: Callable[[str], None] = lambda name: None,
) -> list[TrainedModel]:
    """Train and register the forecasts of config/forecasts.yml, the detection of hourly anomalies, churn, success of
    rooms, recommendations, and what prices do.

    `names`: only these models. `on_model` hears the name of each whose learning begins. The connection must be outside
    of a transaction. Models learn side by side; each is registered in a transaction of its own, in order. The others
    are trained even if one fails, and the one in service stays there. Raises TidemarkError that names all that failed.
    What the same data gave before is not trained again.
    """
    with inputs.snapshot(connection) as mark:
        workers.warm()  # while the lessons are read
        marks = inputs.marks_of_all(connection)
        lessons = [read(connection) for name, read in _readers().items() if names is None or name in names]
    trained = {lesson.name: _known(connection, lesson) for lesson in lessons}
    jobs, challenged = {}, {}
    for lesson in lessons:
        if trained[lesson.name] is None:
            challenged[lesson.name], before = registry.whole_in_service(connection, lesson.name)
            jobs[lesson.name] = partial(lesson.learn, before)
    failed, asked = [], {lesson.name: lesson for lesson in lessons}
    with closing(workers.side_by_side(jobs, on_model)) as learned:
        for name, told in learned:
            if isinstance(told, workers.Failed):
                failed.append(f"{name} ({told.reason})")
            elif isinstance(told, str):
                trained[name] = TrainedModel(name, reason=told)
            else:
                model = registry.register(
                    connection,
                    name,
                    told.artefact,
                    told.metrics,
                    mark,
                    asked[name].data_hash,
                    asked[name].parameters,
                    against=told.against,
                    challenged=challenged[name],
                    reference=told.reference,
                    marks=marks,
                )
                trained[name] = _trained(model)
    if failed:
        raise TidemarkError(f"Not trained, and left in service as it was: {'; '.join(failed)}.")
    return list(trained.values())


def _readers() -> dict[str, Callable[[psycopg.Connection], Lesson]]:
    """For each model what reads its lesson, in the order in which they begin."""

    def forecast(name: str, connection: psycopg.Connection) -> Lesson:
        return forecasts.lesson(series.read(connection, name))

    found = {model_name(name): partial(forecast, name) for name in settings.forecasts().forecasts}
    found |= {ANOMALIES: _anomalies, CHURN: _churn, ROOM_SUCCESS: _room_success}
    for kind in recommendations.KINDS:
        found[recommendations.model_name(kind)] = partial(recommendations.lesson, kind=kind)
    return found | {prices.NAME: prices.lesson}


def _known(connection: psycopg.Connection, lesson: Lesson) -> TrainedModel | None:
    """What is told of a model that needs no training: too little to learn from, or the same gave one before."""
    if lesson.reason:
        return TrainedModel(lesson.name, reason=lesson.reason)
    judged = registry.already_judged(connection, lesson.name, lesson.data_hash, lesson.parameters)
    return _trained(judged) if judged else None


def _anomalies(connection: psycopg.Connection) -> Lesson:
    hours = inputs.hourly(connection)
    longest = int(hours.groupby("unique_id").size().max()) if len(hours) else 0
    if longest < LEAST_HOURS:
        return Lesson(
            ANOMALIES, reason=f"There are {longest} complete hours: anomalies that can be tested need {LEAST_HOURS}."
        )
    from ml.anomaly import season

    parameters = {"threshold": season.THRESHOLD, "seed": SEED}
    return Lesson(ANOMALIES, partial(_learn_anomalies, hours, parameters), inputs.checksum(hours), parameters)


def _learn_anomalies(hours: "pd.DataFrame", parameters: dict, before: bytes | None) -> Challenger:
    """Nothing is fitted: what is registered is how the detection is set, and how well it finds planted anomalies."""
    from ml import anomaly
    from ml.anomaly import trials

    planted, truth = trials.inject(hours, SEED)
    judged = planted["ds"] >= planted.groupby("unique_id")["ds"].transform("median")
    own = trials.score_alerts(anomaly.detect(planted, "h")[judged.to_numpy()], truth)
    plain = trials.score_alerts(trials.trailing_sigma(planted, "h")[judged.to_numpy()], truth)
    metrics = Metrics(
        measure="F1",
        better="higher",
        value=own["f1"],
        baseline=plain["f1"],
        baseline_name="three standard deviations from the mean of the past week",
        tested_on=f"{len(truth)} planted anomalies",
        also={"precision": own["precision"], "recall": own["recall"]},
    )
    return Challenger(artefacts.dump_parameters(parameters), metrics)


def _churn(connection: psycopg.Connection) -> Lesson:
    first_day = connection.execute("select min(day) from api.user_daily").fetchone()[0]
    newest_day = inputs.newest_final_day(connection)
    known = None
    if first_day is not None and newest_day is not None:
        frame = features.churn_features(connection, features.training_cutoffs(first_day, newest_day))
        known = _Outcomes(frame, features.churn_labels(connection, frame))
    if reason := _too_little(known):
        return Lesson(CHURN, reason=reason)
    parameters = {"horizon_days": features.HORIZON_DAYS, "window_days": features.WINDOW_DAYS, "seed": SEED}
    return _outcome_lesson(CHURN, known, (features.RECENCY, "days since last seen alone"), "people", parameters)


def _room_success(connection: psycopg.Connection) -> Lesson:
    rooms = _Outcomes(*openings.known(connection))
    by_week = rooms.labels.groupby(level="cutoff").agg(["size", "nunique"])
    usable = by_week[(by_week["size"] >= LEAST_ROOMS) & (by_week["nunique"] > 1)].index
    if len(usable) < 2:
        return Lesson(
            ROOM_SUCCESS,
            reason=f"The success of rooms needs two weeks of at least {LEAST_ROOMS} rooms each, of which some matched "
            f"and some did not: there are {len(usable)}.",
        )
    is_usable = rooms.features.index.get_level_values("cutoff").isin(usable)
    chosen = _Outcomes(rooms.features[is_usable], rooms.labels[is_usable])
    parameters = {"horizon_hours": openings.HORIZON_HOURS, "seed": SEED}
    return _outcome_lesson(ROOM_SUCCESS, chosen, ("members", "the number of members alone"), "rooms", parameters)


def _outcome_lesson(name: str, known: _Outcomes, plain: tuple[str, str], who: str, parameters: dict) -> Lesson:
    """What becomes of people or rooms; `plain` is the feature that alone is the baseline, and its name."""
    data_hash = inputs.checksum(known.features.assign(label=known.labels))
    return Lesson(name, partial(_learn_outcome, known, plain, who), data_hash, parameters)


def _learn_outcome(known: _Outcomes, plain: tuple[str, str], who: str, before: bytes | None) -> Challenger:
    from ml import churn as learning

    at = known.features.index.get_level_values("cutoff").to_series(index=known.features.index)
    column, plain_name = plain
    scored = learning.evaluate(known.features, known.labels, at, column)
    metrics = Metrics(
        measure="Brier score",
        better="lower",
        value=scored["brier"],
        baseline=min(scored["brier_plain"], scored["brier_base_rate"]),
        baseline_name=plain_name if scored["brier_plain"] <= scored["brier_base_rate"] else "the share of earlier ones",
        tested_on=f"{scored['n']} {who} at {at.max():%Y-%m-%d}, learned from earlier ones",
        also={measure: scored[measure] for measure in ("auc", "auc_plain", "ece")},
    )
    model = learning.train(known.features, known.labels, at)
    newest = known.features[(at == at.max()).to_numpy()]  # older ones differ by the time that went by
    newest = newest.assign(score=learning.probability(model, newest))
    against = _outcome_against(known, at, before)
    return Challenger(artefacts.dump_churn_model(model), metrics, against, drifting.reference(newest))


def _outcome_against(known: _Outcomes, at: "pd.Series", before: bytes | None) -> "Comparison | None":
    """Brier losses of each at the newest cut-off: of what was learned before it, and of the model in service.

    The one in service may have seen that cut-off: that is in its favour.
    """
    if before is None:
        return None
    from ml import churn as learning
    from ml import promotion

    serving = artefacts.load_churn_model(before)
    if not set(serving.features) <= set(known.features.columns):
        return None
    is_newest = (at == at.max()).to_numpy()
    past, newest, happened = known.features[~is_newest], known.features[is_newest], known.labels[is_newest]
    challenger = learning.train(past, known.labels[~is_newest], at[~is_newest])
    losses = [(learning.probability(model, newest) - happened.to_numpy()) ** 2 for model in (challenger, serving)]
    who = newest.index.get_level_values(1).to_numpy()
    return promotion.compare_paired(*losses, who, SEED)


def _too_little(churn: _Outcomes | None) -> str | None:
    """Why people's churn cannot be learned and tested, in one sentence."""
    if churn is None:
        return "There is no complete day with people yet."
    by_cutoff = churn.labels.groupby(level="cutoff").agg(["size", "sum"])
    if len(by_cutoff) < 2:
        needed = features.WINDOW_DAYS + 2 * features.HORIZON_DAYS
        return f"Churn that can be tested by time needs {needed} complete days: there are fewer."
    for cutoff, (people, churned) in by_cutoff.iterrows():
        if people < LEAST_PEOPLE:
            return f"Only {people} people were active before {cutoff:%Y-%m-%d}: churn needs {LEAST_PEOPLE}."
        if churned in (0, people):
            return f"Of the people active before {cutoff:%Y-%m-%d} {'nobody' if churned == 0 else 'everybody'} left."
    return None


def _trained(model: Model) -> TrainedModel:
    return TrainedModel(model.name, model.model_id, model.stage, model.metrics, model.verdict)


def summary(trained: Sequence[TrainedModel]) -> Iterator[tuple[str, str]]:
    """Each model's name and a sentence on it, for people."""
    for model in trained:
        if model.reason:
            yield model.name, f"not trained: {model.reason}"
        else:
            held_out = model.metrics
            yield (
                model.name,
                f"{model.stage}: {held_out['measure']} {held_out['value']:.3f}, "
                f"{held_out['baseline_name']} {held_out['baseline']:.3f}, on {held_out['tested_on']} ({model.verdict})",
            )
