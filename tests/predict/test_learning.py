"""Training and predicting over a small published warehouse, from end to end."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest

from orchestration.errors import TidemarkError
from orchestration.predict import artefacts, inputs, predict, registry, train
from orchestration.settings import settings
from orchestration.warehouse import database, marks

MARK = 7  # of the published state, see conftest
TABLES = {
    "ml.forecasts": "series_id, ds, yhat, lo_80, hi_80, lo_95, hi_95, model_id, load_id",
    "ml.anomalies": "series_id, ds, value, score, is_anomaly, expected, lo, hi, model_id, load_id",
    "ml.churn_scores": "user_id, as_of, probability, reasons, model_id, load_id",
}


def predict_all(connection, metrics=train.FORECAST_METRICS) -> list[predict.Predicted]:
    """What the job predict does, asset by asset."""
    told = [*predict.predict_forecasts(connection, metrics), *predict.predict_anomalies(connection)]
    return [*told, *predict.predict_churn(connection)]


def predictions(connection) -> dict[str, str]:
    """A checksum of each table of predictions, but for when they were made."""
    return {
        table: connection.execute(
            f"select md5(string_agg(row::text, ';' order by row::text)) from (select {columns} from {table}) as row"
        ).fetchone()[0]
        for table, columns in TABLES.items()
    }


def test_everything_is_learned_scored_and_predicted(published):
    with database.connect() as connection:
        trained = {model.name: model for model in train.train_all(connection) if not model.reason}
        told = {one.name: one for one in predict_all(connection)}
        names = {"forecast_revenue", "forecast_orders", "forecast_active_users", "anomalies_hourly", "churn"}
        assert set(trained) == set(told) == names
        for name, model in trained.items():
            assert model.stage == "serving" and registry.beats_baseline(model.metrics), name
            assert told[name].model_id == model.model_id and told[name].rows > 0
        assert set(trained["forecast_revenue"].metrics["coverage"]) == {"80", "95"}

        rows = connection.execute(
            """select count(*), min(ds), max(ds), min(load_id), max(load_id),
                      bool_and(lo_95 <= lo_80 and hi_80 <= hi_95)
               from ml.forecasts where series_id = 'revenue'"""
        ).fetchone()
        assert rows == (28, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 28, tzinfo=UTC), MARK, MARK, True)

        # nothing is judged before its first full days, and everything after
        judged = connection.execute(
            "select series_id, count(*) > 80 * 24, max(ds) from ml.anomalies group by 1 order by 1"
        ).fetchall()
        last = datetime(2026, 3, 31, 23, tzinfo=UTC)
        series = ["active_users", "average_score", "latency_p95_ms|endpoint=/learn", "orders", "revenue"]
        assert judged == [(name, True, last) for name in series]

        as_of, reasons, probability = connection.execute(
            "select as_of, reasons, probability from ml.churn_scores limit 1"
        ).fetchone()
        assert as_of == datetime(2026, 4, 1, tzinfo=UTC)
        log_odds = sum(reason["contribution"] for reason in reasons)
        assert probability == pytest.approx(1 / (1 + np.exp(-log_odds)))

        before, written = (
            predictions(connection),
            connection.execute("select max(made_at) from ml.forecasts").fetchone(),
        )
    with database.connect() as connection:  # the same state again: the same models, the same bytes, no row twice
        again = {model.name: model.model_id for model in train.train_all(connection) if not model.reason}
        predict_all(connection)
        assert again == {name: model.model_id for name, model in trained.items()}
        assert predictions(connection) == before
        assert connection.execute("select max(made_at) from ml.forecasts").fetchone() > written

        # the models again from nothing: another version, the same predictions
        connection.execute("update ml.models set data_hash = 'forgotten'")
        connection.commit()
        train.train_all(connection)
        predict_all(connection)
        connection.execute("update ml.forecasts set model_id = replace(model_id, '-2', '-1')")
        connection.execute("update ml.anomalies set model_id = replace(model_id, '-2', '-1')")
        connection.execute("update ml.churn_scores set model_id = replace(model_id, '-2', '-1')")
        assert predictions(connection) == before


@pytest.fixture
def one_metric(published):
    """Only a forecast of revenue in service: enough for what goes wrong."""
    with database.connect() as connection:
        with inputs.snapshot(connection) as mark:
            days = inputs.daily(connection, ["revenue"])
        train._train_forecast(connection, "revenue", days, 14, mark)
        yield connection


def test_a_later_state_keeps_the_forecasts_made_before(one_metric):
    predict.predict_forecasts(one_metric, ["revenue"])
    with one_metric.transaction():
        one_metric.execute("update api.metric_daily set is_final = true")
        marks.set_mark(one_metric, "views.metric_daily", MARK + 1)
    predict.predict_forecasts(one_metric, ["revenue"])
    rows = one_metric.execute(
        "select load_id, min(ds)::date, count(*) from ml.forecasts group by 1 order by 1"
    ).fetchall()
    assert rows == [(MARK, date(2026, 4, 1), 14), (MARK + 1, date(2026, 4, 2), 14)]


def test_a_failed_training_leaves_the_model_in_service(one_metric, monkeypatch):
    serving = registry.in_service(one_metric, "forecast_revenue")
    with one_metric.transaction():
        one_metric.execute("update api.metric_daily set value = 1e300 where metric = 'revenue' and is_final")
    with pytest.raises(ValueError, match="beyond"):
        train.train_all(one_metric, ["revenue"])
    assert registry.in_service(one_metric, "forecast_revenue") == serving


def test_an_edited_model_predicts_nothing(one_metric):
    model = registry.in_service(one_metric, "forecast_revenue")
    path = settings().directory("models") / model.artefact
    path.write_bytes(path.read_bytes().replace(b'"spread"', b'"Spread"'))
    with pytest.raises(TidemarkError, match="train again"):
        predict.predict_forecasts(one_metric, ["revenue"])
    assert one_metric.execute("select count(*) from ml.forecasts").fetchone() == (0,)


def test_forecasts_are_written_together_or_not_at_all(one_metric, monkeypatch):
    forecasts = predict._forecasts
    broken = predict._Prediction(predict.Predicted("x"), "ml.churn_scores", ("user_id",), [("u1",)])
    monkeypatch.setattr(predict, "_forecasts", lambda *arguments: [*forecasts(*arguments), broken])
    with pytest.raises(Exception, match="violates not-null"):
        predict.predict_forecasts(one_metric, ["revenue"])
    assert one_metric.execute("select count(*) from ml.forecasts").fetchone() == (0,)


def test_too_little_data_is_said_and_nothing_is_made_up(published):
    with database.connect() as connection:
        connection.execute("delete from api.metric_daily where day > '2026-01-20'")
        connection.execute("delete from api.metric_hourly where hour > '2026-01-20'")
        connection.commit()
        trained = train.train_all(connection)
        told = predict_all(connection)
        assert all(model.model_id is None and model.reason.endswith(".") for model in trained)
        assert "20 complete days" in trained[0].reason
        assert all(one.rows == 0 and one.reason for one in told)
        for table in ("ml.models", *TABLES):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)


def test_nothing_published_is_said(warehouse):
    with database.connect() as connection, pytest.raises(TidemarkError, match="run a refresh first"):
        train.train_all(connection)


def test_absent_days_and_hours_are_zeros_only_where_they_add_up(published):
    with database.connect() as connection:
        connection.execute("delete from api.metric_daily where day = '2026-02-01'")
        connection.execute("delete from api.metric_hourly where hour = '2026-02-01 12:00+00'")
        days = inputs.daily(connection, ["revenue", "average_score"]).set_index(["unique_id", "ds"])["y"]
        hours = inputs.hourly(connection).set_index(["unique_id", "ds"])["y"]
    assert days[("revenue", "2026-02-01")] == 0 and ("average_score", "2026-02-01") not in days.index
    assert hours[("orders", "2026-02-01 12:00")] == 0
    assert ("latency_p95_ms|endpoint=/learn", "2026-02-01 12:00") not in hours.index
    assert days.loc["revenue"].index.max() == np.datetime64("2026-03-31")  # the day after is not final


def test_a_tenant_far_from_utc_gets_its_own_midnights(one_metric):
    with one_metric.transaction():
        one_metric.execute("update ops.tenant set timezone = 'Asia/Kolkata'")
    predict.predict_forecasts(one_metric, ["revenue"])
    first = one_metric.execute("select min(ds) from ml.forecasts").fetchone()[0]
    assert first == datetime(2026, 3, 31, 18, 30, tzinfo=UTC)


def test_an_artefact_with_foreign_types_is_not_loaded():
    from pathlib import Path

    from skops.io import dumps
    from skops.io.exceptions import UntrustedTypesFoundException

    with pytest.raises(UntrustedTypesFoundException):
        artefacts.load_churn_model(dumps({"pipeline": Path("/tmp")}))


def test_parameters_are_plain_json():
    assert json.loads(artefacts.dump_parameters({"threshold": 4.5})) == {"threshold": 4.5}
