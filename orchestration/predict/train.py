"""Trains every model on final figures, scores it out of sample beside a plain baseline, and registers it."""

from collections.abc import Callable, Iterator, Sequence
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
)
from orchestration.predict.forecasts import model_name
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

    `names`: only these models. The connection must be outside of a transaction. Each model is registered in a
    transaction of its own; the others are trained even if one fails, and the one in service stays there. Raises
    TidemarkError that names all that failed. What the same data gave before is not trained again.
    """
    with inputs.snapshot(connection) as mark:
        marks = inputs.marks_of_all(connection)
        forecast_names = settings.forecasts().forecasts
        wanted = [series.read(connection, name) for name in forecast_names if _is_asked(model_name(name), names)]
        hours = inputs.hourly(connection)
        churn = _churn_input(connection)
        known = [recommendations.read(connection, kind) for kind in recommendations.KINDS]
        price_days = prices.read(connection)
        rooms = _Outcomes(*openings.known(connection))
    jobs: dict[str, Callable[[], TrainedModel]] = {
        model_name(one.name): partial(_train_forecast, connection, one, mark, marks) for one in wanted
    }
    jobs[ANOMALIES] = partial(_train_anomalies, connection, hours, mark, marks)
    jobs[CHURN] = partial(_train_churn, connection, churn, mark, marks)
    jobs[ROOM_SUCCESS] = partial(_train_room_success, connection, rooms, mark, marks)
    for one in known:
        name = recommendations.model_name(one.kind)
        jobs[name] = partial(_learned, name, partial(recommendations.train, connection, one, mark, marks))
    jobs[prices.NAME] = partial(_learned, prices.NAME, partial(prices.train, connection, price_days, mark, marks))
    trained, failed = [], []
    for name, job in jobs.items():
        if _is_asked(name, names):
            on_model(name)
            try:
                trained.append(job())
            except (ValueError, ArithmeticError, RuntimeError) as error:  # what learning itself raises
                failed.append(f"{name} ({' '.join(str(error).split())})")
    if failed:
        raise TidemarkError(f"Not trained, and left in service as it was: {'; '.join(failed)}.")
    return trained


def _is_asked(name: str, names: Sequence[str] | None) -> bool:
    return names is None or name in names


def _train_forecast(
    connection: psycopg.Connection, wanted: "series.Wanted", mark: int, marks: dict[str, int]
) -> TrainedModel:
    name = model_name(wanted.name)
    if reason := forecasts.too_little(wanted):
        return TrainedModel(name, reason=reason)
    data_hash, parameters = inputs.checksum(wanted.frame), forecasts.parameters(wanted) | {"seed": forecasts.SEED}
    if known := registry.already_judged(connection, name, data_hash, parameters):
        return _trained(known)
    serving = registry.in_service(connection, name)
    artefact, metrics, against = forecasts.learn(wanted, serving)
    return _trained(
        registry.register(
            connection,
            name,
            artefact,
            metrics,
            mark,
            data_hash,
            parameters,
            against=against,
            challenged=serving and serving.model_id,
            marks=marks,
        )
    )


def _train_anomalies(
    connection: psycopg.Connection, hours: "pd.DataFrame", mark: int, marks: dict[str, int]
) -> TrainedModel:
    """Nothing is fitted: what is registered is how the detection is set, and how well it finds planted anomalies."""
    longest = int(hours.groupby("unique_id").size().max()) if len(hours) else 0
    if longest < LEAST_HOURS:
        return TrainedModel(
            ANOMALIES, reason=f"There are {longest} complete hours: anomalies that can be tested need {LEAST_HOURS}."
        )
    from ml import anomaly
    from ml.anomaly import season, trials

    data_hash, parameters = inputs.checksum(hours), {"threshold": season.THRESHOLD, "seed": SEED}
    if known := registry.already_judged(connection, ANOMALIES, data_hash, parameters):
        return _trained(known)
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
    artefact = artefacts.dump_parameters(parameters)
    return _trained(
        registry.register(connection, ANOMALIES, artefact, metrics, mark, data_hash, parameters, marks=marks)
    )


def _churn_input(connection: psycopg.Connection) -> _Outcomes | None:
    first_day = connection.execute("select min(day) from api.user_daily").fetchone()[0]
    newest_day = inputs.newest_final_day(connection)
    if first_day is None or newest_day is None:
        return None
    frame = features.churn_features(connection, features.training_cutoffs(first_day, newest_day))
    return _Outcomes(frame, features.churn_labels(connection, frame))


def _train_churn(
    connection: psycopg.Connection, churn: _Outcomes | None, mark: int, marks: dict[str, int]
) -> TrainedModel:
    if reason := _too_little(churn):
        return TrainedModel(CHURN, reason=reason)
    parameters = {"horizon_days": features.HORIZON_DAYS, "window_days": features.WINDOW_DAYS, "seed": SEED}
    plain = (features.RECENCY, "days since last seen alone")
    return _train_outcome(connection, CHURN, churn, plain, "people", parameters, mark, marks)


def _train_room_success(
    connection: psycopg.Connection, rooms: _Outcomes, mark: int, marks: dict[str, int]
) -> TrainedModel:
    by_week = rooms.labels.groupby(level="cutoff").agg(["size", "nunique"])
    usable = by_week[(by_week["size"] >= LEAST_ROOMS) & (by_week["nunique"] > 1)].index
    if len(usable) < 2:
        return TrainedModel(
            ROOM_SUCCESS,
            reason=f"The success of rooms needs two weeks of at least {LEAST_ROOMS} rooms each, of which some matched "
            f"and some did not: there are {len(usable)}.",
        )
    is_usable = rooms.features.index.get_level_values("cutoff").isin(usable)
    chosen = _Outcomes(rooms.features[is_usable], rooms.labels[is_usable])
    parameters = {"horizon_hours": openings.HORIZON_HOURS, "seed": SEED}
    plain = ("members", "the number of members alone")
    return _train_outcome(connection, ROOM_SUCCESS, chosen, plain, "rooms", parameters, mark, marks)


def _train_outcome(
    connection: psycopg.Connection,
    name: str,
    known: _Outcomes,
    plain: tuple[str, str],
    who: str,
    parameters: dict,
    mark: int,
    marks: dict[str, int],
) -> TrainedModel:
    """A model of what becomes of people or rooms; `plain` is the feature that alone is the baseline, and its name."""
    at = known.features.index.get_level_values("cutoff").to_series(index=known.features.index)
    data_hash = inputs.checksum(known.features.assign(label=known.labels))
    if judged := registry.already_judged(connection, name, data_hash, parameters):
        return _trained(judged)
    from ml import churn as learning

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
    serving = registry.in_service(connection, name)
    model = learning.train(known.features, known.labels, at)
    newest = known.features[(at == at.max()).to_numpy()]  # older ones differ by the time that went by
    newest = newest.assign(score=learning.probability(model, newest))
    return _trained(
        registry.register(
            connection,
            name,
            artefacts.dump_churn_model(model),
            metrics,
            mark,
            data_hash,
            parameters,
            against=_outcome_against(known, at, serving),
            challenged=serving and serving.model_id,
            marks=marks,
            reference=drifting.reference(newest),
        )
    )


def _outcome_against(known: _Outcomes, at: "pd.Series", serving: Model | None) -> "Comparison | None":
    """Brier losses of each at the newest cut-off: of what was learned before it, and of the model in service.

    The one in service may have seen that cut-off: that is in its favour.
    """
    if serving is None or registry.fault(serving):
        return None
    from ml import churn as learning
    from ml import promotion

    before = artefacts.load_churn_model(registry.load_artefact(serving))
    if not set(before.features) <= set(known.features.columns):
        return None
    is_newest = (at == at.max()).to_numpy()
    past, newest, happened = known.features[~is_newest], known.features[is_newest], known.labels[is_newest]
    challenger = learning.train(past, known.labels[~is_newest], at[~is_newest])
    losses = [(learning.probability(model, newest) - happened.to_numpy()) ** 2 for model in (challenger, before)]
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


def _learned(name: str, learn: Callable[[], Model | str]) -> TrainedModel:
    learned = learn()
    return TrainedModel(name, reason=learned) if isinstance(learned, str) else _trained(learned)


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
