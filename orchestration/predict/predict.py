"""Writes what the models in service say of the newest published figures, and what is unusual in them."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import psycopg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.predict import (
    artefacts,
    behaviour,
    drifting,
    experiments,
    explaining,
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
from orchestration.predict.made import Made
from orchestration.predict.registry import Model
from orchestration.predict.train import ANOMALIES, CHURN, ROOM_SUCCESS

_FIGURES = ("score", "is_anomaly", "expected", "lo", "hi", "direction", "effect_size")
_ANOMALIES = ("series_id", "ds", "value", *_FIGURES, "explanation", "model_id", "load_id")
_ROOMS = ("room_id", "as_of", "probability", "reasons", "model_id", "load_id")
_CHURN = ("user_id", "as_of", "probability", "reasons", "model_id", "load_id")


@dataclass(frozen=True)
class Predicted:
    """What one model in service said, or in one sentence why it said nothing."""

    name: str
    model_id: str | None = None
    rows: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class _Prediction:
    """Rows that wait to be written, and what they replace."""

    told: Predicted | None  # nothing is said of what stands beside another one
    table: str
    columns: tuple[str, ...]
    rows: list[tuple] | Callable[[], list[tuple]]  # or what computes them in a process of its own
    replaces: str = "false"  # a condition over the table
    values: tuple = ()


def predict_forecasts(connection: psycopg.Connection, names: Sequence[str] | None = None) -> list[Predicted]:
    """The steps that follow the newest final one, for each forecast of config/forecasts.yml with a model in service.

    `names`: only these forecasts. A forecast is frozen: from the same history, a model's stands as it was made.
    """
    with inputs.snapshot(connection) as mark:
        asked = list(settings.forecasts().forecasts) if names is None else names
        made = [one for name in asked for one in _forecasts(connection, name, mark)]
    jobs = {one.told.model_id: one.rows for one in made if callable(one.rows)}
    said, failed = {}, []
    with closing(workers.side_by_side(jobs)) as told:
        for model_id, rows in told:
            if isinstance(rows, workers.Failed):
                failed.append(f"{model_id} ({rows.reason})")
            else:
                said[model_id] = rows
    if failed:
        raise TidemarkError(f"No forecast was written, as some failed: {'; '.join(failed)}. Train again.")
    return _write(connection, [_with_rows(one, said.get(one.told.model_id)) for one in made])


def predict_anomalies(connection: psycopg.Connection) -> list[Predicted]:
    """A judgement on every final hour by the hours before it."""
    with inputs.snapshot(connection) as mark:
        made = _anomalies(connection, mark)
    return _write(connection, [made])


def predict_churn(connection: psycopg.Connection) -> list[Predicted]:
    """The probability that each person active in the past 28 days stays away for the next 14, with reasons."""
    with inputs.snapshot(connection) as mark:
        made = _churn_scores(connection, mark)
    return _write(connection, made)


def predict_recommendations(connection: psycopg.Connection) -> list[Predicted]:
    """What people, open rooms and sellers are recommended, in place of what they were before."""
    with inputs.snapshot(connection) as mark:
        made = recommendations.predict(connection)
    return _replace(connection, "ml.recommendations", recommendations.COLUMNS, made, mark)


def predict_experiments(connection: psycopg.Connection) -> list[Predicted]:
    """What the experiments say at the newest complete day. No model: they are tests."""
    with inputs.snapshot(connection) as mark:
        made = experiments.predict(connection)
    return _replace(connection, "ml.experiment_results", experiments.COLUMNS, made, mark, has_model=False)


def predict_prices(connection: psycopg.Connection) -> list[Predicted]:
    """The price of each product that is expected to earn most, or why none is recommended."""
    with inputs.snapshot(connection) as mark:
        made = prices.predict(connection)
    return _replace(connection, "ml.price_recommendations", prices.COLUMNS, made, mark)


def predict_room_success(connection: psycopg.Connection) -> list[Predicted]:
    """The chance of each room of the newest week to match within a day, as of six minutes after its creation."""
    with inputs.snapshot(connection) as mark:
        made = _room_scores(connection, mark)
    return _write(connection, made)


def judge_behaviour(connection: psycopg.Connection) -> list[Predicted]:
    """How unusual each user, seller and room is among their like."""
    with inputs.snapshot(connection) as mark:
        made = [_behaviour(connection, kind, mark) for kind in behaviour.QUERIES]
    return _write(connection, made)


def _forecasts(connection: psycopg.Connection, name: str, mark: int) -> list[_Prediction]:
    """What is to be said; its rows are a function that has yet to compute them."""
    made, zone = [], inputs.timezone(connection)
    models = registry.predicting(connection, forecasts.model_name(name))
    for model in models:
        artefact = registry.load_artefact(model)
        wanted = series.read(connection, name, forecasts.known_to(artefact))
        if wanted.frame.empty:
            made.append(_nothing(model.name, model))
        elif forecasts.said_already(connection, wanted, model, mark):
            reason = "Its forecast from this history is made and stands."
            made.append(_Prediction(Predicted(model.name, model.model_id, reason=reason), "", (), []))
        else:
            rows = partial(forecasts.say, wanted, artefact, model.model_id, zone, mark)
            told = Predicted(model.name, model.model_id)
            made.append(_Prediction(told, "ml.forecasts", forecasts.COLUMNS, rows))
    return made or [_nothing(forecasts.model_name(name), None)]


def _with_rows(prediction: _Prediction, rows: list[tuple] | None) -> _Prediction:
    if rows is None:
        return prediction
    return replace(prediction, told=replace(prediction.told, rows=len(rows)), rows=rows)


def _anomalies(connection: psycopg.Connection, mark: int) -> _Prediction:
    hours = inputs.hourly(connection)
    model = registry.in_service(connection, ANOMALIES)
    if model is None or hours.empty:
        return _nothing(ANOMALIES, model)
    registry.load_artefact(model)
    from ml import anomaly

    judged = anomaly.detect(hours, "h").merge(hours, on=["unique_id", "ds"]).dropna(subset="expected")
    hour = [ds.to_pydatetime() for ds in judged["ds"].dt.tz_localize("UTC")]
    figures = judged[["y", *_FIGURES]].itertuples(index=False)
    told = [told and json.dumps(told) for told in explaining.explanations(connection, judged)]
    rows = [
        (series_id, ds, *values, explanation, model.model_id, mark)
        for series_id, ds, values, explanation in zip(judged["unique_id"], hour, figures, told, strict=True)
    ]
    return _Prediction(Predicted(ANOMALIES, model.model_id, len(rows)), "ml.anomalies", _ANOMALIES, rows, "true")


def _churn_scores(connection: psycopg.Connection, mark: int) -> list[_Prediction]:
    models = registry.predicting(connection, CHURN)
    day = inputs.newest_final_day(connection)
    if not models or day is None:
        return [_nothing(CHURN, models[0] if models else None)]
    from ml import churn

    zone = ZoneInfo(inputs.timezone(connection))
    as_of = datetime.combine(day + timedelta(days=1), time(), zone)  # the day's end: nothing after it was used
    people = features.churn_features(connection, [day]).droplevel("cutoff")
    made = []
    for model in models:
        scored = churn.score(artefacts.load_churn_model(registry.load_artefact(model)), people)
        rows = [
            (row.Index, as_of, row.probability, json.dumps(row.reasons), model.model_id, mark)
            for row in scored.itertuples()
        ]
        told = Predicted(CHURN, model.model_id, len(rows))
        condition, values = "as_of = %s and model_id = %s", (as_of, model.model_id)
        made.append(_Prediction(told, "ml.churn_scores", _CHURN, rows, condition, values))
        drifted = drifting.compare(model, people.assign(score=scored["probability"]), mark)
        made.append(
            _Prediction(
                None, "ml.drift", drifting.COLUMNS, drifted, "model_id = %s and load_id = %s", (model.model_id, mark)
            )
        )
    return made


def _room_scores(connection: psycopg.Connection, mark: int) -> list[_Prediction]:
    models, rooms = registry.predicting(connection, ROOM_SUCCESS), openings.recent(connection)
    if not models or rooms.empty:
        return [_nothing(ROOM_SUCCESS, models[0] if models else None)]
    from ml import churn

    made = []
    for model in models:
        scored = churn.score(artefacts.load_churn_model(registry.load_artefact(model)), rooms)
        rows = [
            (row.Index, as_of, row.probability, json.dumps(row.reasons), model.model_id, mark)
            for row, as_of in zip(scored.itertuples(), rooms["cutoff_at"], strict=True)
        ]
        told = Predicted(ROOM_SUCCESS, model.model_id, len(rows))
        values = (model.model_id, list(rooms.index))
        made.append(_Prediction(told, "ml.room_scores", _ROOMS, rows, "model_id = %s and room_id = any(%s)", values))
    return made


def _behaviour(connection: psycopg.Connection, kind: str, mark: int) -> _Prediction:
    from ml.anomaly import behaviour as judging

    name, as_of = f"unusual_{kind}s", behaviour.newest_hour_end(connection)
    known = behaviour.read(connection, kind)
    if as_of is None:
        return _Prediction(Predicted(name, reason="There is no complete hour yet."), "", (), [])
    if len(known) < judging.LEAST:
        reason = f"There are {len(known)} {kind}s: what is usual can be told from {judging.LEAST} on."
        return _Prediction(Predicted(name, reason=reason), "", (), [])
    judged = judging.unusual(known)
    rows = [
        (kind, row.Index, as_of, row.score, row.is_anomaly, json.dumps(row.reasons), mark)
        for row in judged.itertuples()
    ]
    told = Predicted(name, "an isolation forest", len(rows))
    return _Prediction(told, "ml.unusual_behaviour", behaviour.COLUMNS, rows, "kind = %s", (kind,))


def _nothing(name: str, model: Model | None) -> _Prediction:
    reason = (
        f"No model {name} is in service: run train." if model is None else "There is nothing final to predict from."
    )
    return _Prediction(Predicted(name, reason=reason), "", (), [])


def _replace(
    connection: psycopg.Connection,
    table: str,
    columns: tuple[str, ...],
    made: list[Made],
    mark: int,
    has_model: bool = True,
) -> list[Predicted]:
    """Write what was made in place of everything that the table holds."""
    ends = ("model_id", "load_id") if has_model else ("load_id",)
    rows = [(*row, *((one.model_id, mark) if has_model else (mark,))) for one in made for row in one.rows]
    told = Predicted(table, rows=len(rows))
    _write(connection, [_Prediction(told, table, (*columns, *ends), rows, "true")])
    return [Predicted(one.name, one.model_id, len(one.rows), one.reason) for one in made]


def _write(connection: psycopg.Connection, made: Iterable[_Prediction]) -> list[Predicted]:
    with connection.transaction():
        for prediction in made:
            if prediction.rows:
                table = prediction.table
                connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [table])
                connection.execute(f"delete from {table} where {prediction.replaces}", prediction.values)
                copy = f"copy {table} ({', '.join(prediction.columns)}) from stdin"
                with connection.cursor() as cursor, cursor.copy(copy) as target:
                    for row in prediction.rows:
                        target.write_row(row)
    return [prediction.told for prediction in made if prediction.told]
