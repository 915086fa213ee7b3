"""Trains every model on final figures, scores it out of sample beside a plain baseline, and registers it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from orchestration.predict import artefacts, features, inputs, prices, recommendations, registry
from orchestration.predict.registry import Metrics, Model

if TYPE_CHECKING:
    import pandas as pd

FORECAST_METRICS = ("revenue", "orders", "active_users")
HORIZON_DAYS = 28
LEVELS = (80, 95)
WINDOWS = 3
ANOMALIES = "anomalies_hourly"
CHURN = "churn"
LEAST_HOURS = 28 * 24
LEAST_PEOPLE = 100  # at each cut-off that is learned from or judged
SEED = 1


@dataclass(frozen=True)
class TrainedModel:
    """What became of a training. `reason` says in one sentence why nothing was trained; then all else is None."""

    name: str
    model_id: str | None = None
    stage: str | None = None
    metrics: Metrics | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Churn:
    """People at past cut-offs, and whether they churned then."""

    features: "pd.DataFrame"
    labels: "pd.Series"


def forecast_name(metric: str) -> str:
    return f"forecast_{metric}"


def train_all(
    connection: psycopg.Connection,
    metrics: Sequence[str] = FORECAST_METRICS,
    horizon_days: int = HORIZON_DAYS,
) -> list[TrainedModel]:
    """Train and register a forecast of each daily metric, the detection of anomalies, churn, recommendations, prices.

    The connection must be outside of a transaction. Each model is registered in one of its own; one that fails raises
    and leaves the one in service there. What the same data gave before is not trained again.
    """
    with inputs.snapshot(connection) as mark:
        days = inputs.daily(connection, metrics)
        hours = inputs.hourly(connection)
        churn = _churn_input(connection)
        known = [recommendations.read(connection, kind) for kind in recommendations.KINDS]
        price_days = prices.read(connection)
    trained = [_train_forecast(connection, metric, days, horizon_days, mark) for metric in metrics]
    trained += [_train_anomalies(connection, hours, mark), _train_churn(connection, churn, mark)]
    for one in known:
        name = recommendations.model_name(one.kind)
        trained.append(_learned(name, recommendations.train(connection, one, mark)))
    return [*trained, _learned(prices.NAME, prices.train(connection, price_days, mark))]


def _train_forecast(
    connection: psycopg.Connection, metric: str, days: "pd.DataFrame", horizon: int, mark: int
) -> TrainedModel:
    name = forecast_name(metric)
    series = days[days["unique_id"] == metric]
    least = horizon + 28
    if len(series) < least:
        return TrainedModel(
            name,
            reason=f"{metric} has {len(series)} complete days: a forecast over {horizon} days "
            f"that can be tested needs {least}.",
        )
    data_hash, parameters = _hash(series), {"horizon_days": horizon, "levels": list(LEVELS), "seed": 0}
    if known := registry.already_judged(connection, name, data_hash, parameters):
        return _trained(known)
    from ml import forecast

    forecasters, scores = forecast.learn(series, horizon, "D", LEVELS, WINDOWS)
    scored = scores.set_index("model")
    own, plain = scored.loc[forecast.COMBINATION], scored.loc[forecast.BASELINE]
    metrics = Metrics(
        measure="MASE",
        better="lower",
        value=float(own["mase"]),
        baseline=float(plain["mase"]),
        baseline_name="seasonal naive",
        tested_on=f"{int(own['windows'])} windows of {horizon} days",
        coverage={str(level): round(float(own[f"coverage_{level}"]), 4) for level in LEVELS},
        also={"smape": float(own["smape"]), "mase_prophet": float(scored.loc["Prophet", "mase"])},
    )
    artefact = artefacts.dump_forecasters(forecasters)
    return _trained(registry.register(connection, name, artefact, metrics, mark, data_hash, parameters))


def _train_anomalies(connection: psycopg.Connection, hours: "pd.DataFrame", mark: int) -> TrainedModel:
    """Nothing is fitted: what is registered is how the detection is set, and how well it finds planted anomalies."""
    longest = int(hours.groupby("unique_id").size().max()) if len(hours) else 0
    if longest < LEAST_HOURS:
        return TrainedModel(
            ANOMALIES, reason=f"There are {longest} complete hours: anomalies that can be tested need {LEAST_HOURS}."
        )
    from ml import anomaly

    data_hash, parameters = _hash(hours), {"threshold": anomaly.THRESHOLD, "seed": SEED}
    if known := registry.already_judged(connection, ANOMALIES, data_hash, parameters):
        return _trained(known)
    planted, truth = anomaly.inject(hours, SEED)
    judged = planted["ds"] >= planted.groupby("unique_id")["ds"].transform("median")
    own = anomaly.score_alerts(anomaly.detect(planted, "h")[judged.to_numpy()], truth)
    plain = anomaly.score_alerts(anomaly.trailing_sigma(planted, "h")[judged.to_numpy()], truth)
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
    return _trained(registry.register(connection, ANOMALIES, artefact, metrics, mark, data_hash, parameters))


def _churn_input(connection: psycopg.Connection) -> _Churn | None:
    first_day = connection.execute("select min(day) from api.user_daily").fetchone()[0]
    newest_day = inputs.newest_final_day(connection)
    if first_day is None or newest_day is None:
        return None
    frame = features.churn_features(connection, features.training_cutoffs(first_day, newest_day))
    return _Churn(frame, features.churn_labels(connection, frame))


def _train_churn(connection: psycopg.Connection, churn: _Churn | None, mark: int) -> TrainedModel:
    if reason := _too_little(churn):
        return TrainedModel(CHURN, reason=reason)
    at = churn.features.index.get_level_values("cutoff").to_series(index=churn.features.index)
    data_hash = _hash(churn.features.assign(has_churned=churn.labels))
    parameters = {"horizon_days": features.HORIZON_DAYS, "window_days": features.WINDOW_DAYS}
    if known := registry.already_judged(connection, CHURN, data_hash, parameters):
        return _trained(known)
    from ml import churn as learning

    scored = learning.evaluate(churn.features, churn.labels, at, features.RECENCY)
    metrics = Metrics(
        measure="Brier score",
        better="lower",
        value=scored["brier"],
        baseline=min(scored["brier_recency"], scored["brier_base_rate"]),
        baseline_name="days since last seen alone"
        if scored["brier_recency"] <= scored["brier_base_rate"]
        else "the share of people who left before",
        tested_on=f"{scored['n']} people at {at.max():%Y-%m-%d}, learned from earlier ones",
        also={name: scored[name] for name in ("auc", "auc_recency", "ece")},
    )
    model = learning.train(churn.features, churn.labels, at)
    artefact = artefacts.dump_churn_model(model)
    return _trained(registry.register(connection, CHURN, artefact, metrics, mark, data_hash, parameters))


def _too_little(churn: _Churn | None) -> str | None:
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
    return TrainedModel(model.name, model.model_id, model.stage, model.metrics)


def _learned(name: str, learned: Model | str) -> TrainedModel:
    return TrainedModel(name, reason=learned) if isinstance(learned, str) else _trained(learned)


def _hash(frame: "pd.DataFrame") -> str:
    """The same for the same rows, in order."""
    import pandas as pd

    return sha256(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()).hexdigest()


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
                f"{held_out['baseline_name']} {held_out['baseline']:.3f}, on {held_out['tested_on']}",
            )
