"""Training and predicting over a small published warehouse, from end to end."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from ml.forecast import Forecaster
from orchestration.errors import TidemarkError
from orchestration.predict import artefacts, features, feedback, inputs, predict, registry, series, train
from orchestration.predict.registry import Metrics
from orchestration.settings import forecasts, settings
from orchestration.warehouse import database, marks

MARK = 7  # of the published state, see conftest
FORECASTS = ("revenue", "demand")
NAMES = {"forecast_revenue", "forecast_demand", "anomalies_hourly", "churn", "room_success"}
TABLES = {
    "ml.forecasts": "series_id, ds, yhat, lo_80, hi_80, lo_95, hi_95, load_id",
    "ml.anomalies": "series_id, ds, value, score, is_anomaly, expected, lo, hi, load_id",
    "ml.churn_scores": "user_id, as_of, probability, reasons, load_id",
    "ml.room_scores": "room_id, as_of, probability, reasons, load_id",
}


def predict_all(connection) -> list[predict.Predicted]:
    """What the job predict does, asset by asset."""
    told = [*predict.predict_forecasts(connection, FORECASTS), *predict.predict_anomalies(connection)]
    return [*told, *predict.predict_churn(connection), *predict.predict_room_success(connection)]


def predictions(connection, version: int) -> dict[str, str]:
    """A checksum of what the models of a version said, table by table."""
    return {
        table: connection.execute(
            f"select md5(string_agg(row::text, ';' order by row::text)) "
            f"from (select {columns} from {table} where model_id like '%-{version}') as row"
        ).fetchone()[0]
        for table, columns in TABLES.items()
    }


def test_everything_is_learned_scored_and_predicted(published):
    with database.connect() as connection:
        trained = {model.name: model for model in train.train_all(connection, NAMES)}
        told = {one.name: one for one in predict_all(connection)}
        assert set(trained) == set(told) == NAMES
        for name, model in trained.items():
            assert model.stage == "serving" and registry.beats_baseline(model.metrics), name
            assert told[name].model_id == model.model_id and told[name].rows > 0
        assert set(trained["forecast_revenue"].metrics["coverage"]) == {"80", "95"}
        kept = registry.in_service(connection, "forecast_revenue")
        assert kept.marks == {"views.metric_daily": MARK} and kept.code == registry.code()

        rows = connection.execute(
            """select count(*), min(ds), max(ds), min(load_id), max(load_id),
                      bool_and(lo_95 <= lo_80 and hi_80 <= hi_95)
               from ml.forecasts where series_id = 'revenue'"""
        ).fetchone()
        assert rows == (28, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 28, tzinfo=UTC), MARK, MARK, True)

        # products add up to their categories, and those to the shop; the newcomer is the rest of its category
        demand = {
            name: np.array(values)
            for name, values in connection.execute(
                """select substr(series_id, 8), array_agg(yhat order by ds) from ml.forecasts
                   where starts_with(series_id, 'demand') group by 1"""
            )
        }
        parts = {"category=books": ["product=a", "product=b"], "category=toys": ["product=c", "rest=toys"]}
        assert set(demand) == {"", *parts, *parts["category=books"], *parts["category=toys"]}
        for whole, some in {**parts, "": list(parts)}.items():
            assert sum(demand[part] for part in some) == pytest.approx(demand[whole])
        assert demand[""].mean() == pytest.approx(9 + 4 + 6 + 3, rel=0.15)

        # nothing is judged before its first full days, and everything after
        judged = connection.execute(
            "select series_id, count(*) > 80 * 24, max(ds) from ml.anomalies group by 1 order by 1"
        ).fetchall()
        last = datetime(2026, 3, 31, 23, tzinfo=UTC)
        names = ["active_users", "average_score", "content_views", "latency_p95_ms|endpoint=/learn", "orders"]
        assert judged == [(name, True, last) for name in [*names, "requests", "revenue", "rooms_created"]]

        as_of, reasons, probability = connection.execute(
            "select as_of, reasons, probability from ml.churn_scores limit 1"
        ).fetchone()
        assert as_of == datetime(2026, 4, 1, tzinfo=UTC)
        log_odds = sum(reason["contribution"] for reason in reasons)
        assert probability == pytest.approx(1 / (1 + np.exp(-log_odds)))
        looked_at = {name for (name,) in connection.execute("select input from ml.drift")}
        assert looked_at == {*features.FEATURES, "score"}

        before = predictions(connection, 1)
        connection.commit()
        # the same state again: the same models, and forecasts that stand as they were made
        again = {model.name: model.model_id for model in train.train_all(connection, NAMES)}
        told = {one.name: one for one in predict_all(connection)}
        assert again == {name: model.model_id for name, model in trained.items()}
        assert predictions(connection, 1) == before and told["forecast_revenue"].rows == 0
        connection.commit()

        # the models again from nothing, on the same snapshot: the same predictions, to the byte
        connection.execute("update ml.models set data_hash = 'forgotten'")
        connection.commit()
        train.train_all(connection, NAMES)
        challengers = dict(connection.execute("select name, stage || ': ' || verdict from ml.models where version = 2"))
        assert all("not surely 1 % better" in challengers[name] for name in NAMES - {"anomalies_hourly"})
        for name in NAMES - {"anomalies_hourly"}:
            registry.promote(connection, f"{name}-2", "to see that it says the same")
        connection.commit()
        predict_all(connection)
        assert predictions(connection, 2) == before


@pytest.fixture
def one_metric(published):
    """Only a forecast of revenue in service, that repeats the last week: enough for what goes wrong."""
    reach = {level: [width] * 28 for level, width in ((80, 1.3), (95, 2.0))}
    forecaster = Forecaster("revenue", "D", 7, {"SeasonalNaive": 1.0}, 100.0, reach, True, "", None)
    metrics = Metrics(
        measure="MASE",
        better="lower",
        value=0.9,
        baseline=1.0,
        baseline_name="plain",
        tested_on="1",
        coverage={"80": 0.8, "95": 0.95},
    )
    artefact = artefacts.dump_forecasters([forecaster])
    with database.connect() as connection:
        parameters = {"horizon": 28}
        registry.register(connection, "forecast_revenue", artefact, metrics, MARK, "hash", parameters)
        connection.commit()
        yield connection


def predict_revenue(connection) -> list[predict.Predicted]:
    return predict.predict_forecasts(connection, ["revenue"])


def test_a_later_state_keeps_the_forecasts_made_before(one_metric):
    predict_revenue(one_metric)
    one_metric.commit()
    with one_metric.transaction():
        one_metric.execute("update api.metric_daily set is_final = true")
        marks.set_mark(one_metric, "views.metric_daily", MARK + 1)
    predict_revenue(one_metric)
    rows = one_metric.execute(
        "select load_id, min(ds)::date, count(*) from ml.forecasts group by 1 order by 1"
    ).fetchall()
    assert rows == [(MARK, date(2026, 4, 1), 28), (MARK + 1, date(2026, 4, 2), 28)]


def test_a_forecast_is_frozen(one_metric):
    predict_revenue(one_metric)
    with pytest.raises(Exception, match="frozen when it is made"):
        one_metric.execute("update ml.forecasts set yhat = yhat + 1")


def test_forecasts_are_scored_by_hand_when_the_truth_arrives(one_metric):
    """Three days come true: one as forecast, one a half more, one far outside; the fourth is not final yet."""
    predict_revenue(one_metric)
    said = one_metric.execute("select ds, yhat, hi_80, hi_95 from ml.forecasts order by ds limit 4").fetchall()
    truth = [said[0][1], said[1][1] * 1.5, said[2][1] * 10, said[3][1]]
    one_metric.execute("delete from api.metric_daily where day >= '2026-04-01'")
    for (ds, *_), value in zip(said, truth, strict=True):
        is_final = ds.date() < date(2026, 4, 4)
        row = [ds.date(), value, is_final]
        one_metric.execute("insert into api.metric_daily values ('revenue', 'all', %s, %s, %s, 8)", row)
        one_metric.execute("insert into api.metric_hourly values ('revenue', 'all', %s, %s, %s, 8)", [ds, *row[1:]])
    history = one_metric.execute("""
        select array_agg(value::float8 order by day) from api.metric_daily
        where metric = 'revenue' and day < '2026-04-01'""").fetchone()[0]
    scale = np.abs(np.array(history[7:]) - np.array(history[:-7])).mean()
    one_metric.commit()
    assert feedback.score_forecasts(one_metric)["revenue"] == 3
    assert feedback.score_forecasts(one_metric)["revenue"] == 0  # each once
    rows = one_metric.execute(
        "select horizon, value, mase, smape, pinball, is_in_80, is_in_95 from ml.forecast_scores order by ds"
    ).fetchall()
    for row, value, (_, yhat, hi_80, hi_95) in zip(rows, truth, said, strict=False):
        lo_80, lo_95 = 2 * yhat - hi_80, 2 * yhat - hi_95  # the band is symmetric
        lost = [
            max(p * (value - q), (p - 1) * (value - q))
            for q, p in ((lo_95, 0.025), (lo_80, 0.1), (hi_80, 0.9), (hi_95, 0.975))
        ]
        assert row[1:5] == pytest.approx(
            (value, abs(value - yhat) / scale, 200 * abs(value - yhat) / (value + yhat), np.mean(lost))
        )
        assert row[5:] == (lo_80 <= value <= hi_80, lo_95 <= value <= hi_95)
    assert [row[0] for row in rows] == [1, 2, 3] and [row[6] for row in rows] == [True, False, False]


def test_what_people_did_is_joined_back_to_their_scores(one_metric):
    one_metric.execute("truncate api.user_daily")
    as_of = datetime(2026, 3, 1, tzinfo=UTC)  # the end of February
    for person, ahead in (("left", None), ("next day", 0), ("last day", 13), ("too late", 14)):
        row = [person, as_of]
        one_metric.execute("insert into ml.churn_scores values (%s, %s, 0.5, '[]', 'forecast_revenue-1', 7)", row)
        if ahead is not None:
            day = as_of.date() + timedelta(days=ahead)
            one_metric.execute("insert into api.user_daily values (%s, %s, 1, 1, 1, 0, null, 0, 0)", [person, day])
    one_metric.execute("insert into ml.churn_scores values ('young', '2026-03-19', 0.5, '[]', 'forecast_revenue-1', 7)")
    one_metric.commit()
    assert feedback.settle_churn(one_metric) == 4
    told = dict(one_metric.execute("select user_id, has_churned from ml.churn_scores"))
    assert told == {"left": True, "next day": False, "last day": False, "too late": True, "young": None}


def test_a_failed_training_leaves_the_model_in_service_and_the_others_learn(one_metric):
    serving = registry.in_service(one_metric, "forecast_revenue")
    with one_metric.transaction():
        one_metric.execute("update api.metric_daily set value = 1e300 where metric = 'revenue' and is_final")
    with pytest.raises(TidemarkError, match="in service as it was: forecast_revenue"):
        train.train_all(one_metric, ["forecast_revenue", "anomalies_hourly"])
    assert registry.in_service(one_metric, "forecast_revenue") == serving
    assert registry.in_service(one_metric, "anomalies_hourly")


def test_an_edited_model_predicts_nothing(one_metric):
    model = registry.in_service(one_metric, "forecast_revenue")
    path = settings().directory("models") / model.artefact
    path.write_bytes(path.read_bytes().replace(b'"spread"', b'"Spread"'))
    with pytest.raises(TidemarkError, match="train again"):
        predict_revenue(one_metric)
    assert one_metric.execute("select count(*) from ml.forecasts").fetchone() == (0,)


def test_forecasts_are_written_together_or_not_at_all(one_metric, monkeypatch):
    forecasts = predict._forecasts
    broken = predict._Prediction(predict.Predicted("x"), "ml.churn_scores", ("user_id",), [("u1",)])
    monkeypatch.setattr(predict, "_forecasts", lambda *some: [*forecasts(*some), broken])
    with pytest.raises(Exception, match="violates not-null"):
        predict_revenue(one_metric)
    assert one_metric.execute("select count(*) from ml.forecasts").fetchone() == (0,)


def test_too_little_data_is_said_and_nothing_is_made_up(published):
    with database.connect() as connection:
        connection.execute("delete from api.metric_daily where day > '2026-01-20'")
        connection.execute("delete from api.metric_hourly where hour > '2026-01-12'")
        connection.commit()
        trained = train.train_all(connection)
        told = predict_all(connection)
        assert len(trained) == 14 and all(model.model_id is None and model.reason.endswith(".") for model in trained)
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
        days = series.read(connection, "revenue").frame.set_index(["unique_id", "ds"])["y"]
        hours = inputs.hourly(connection).set_index(["unique_id", "ds"])["y"]
    assert days[("revenue", "2026-02-01")] == 0
    assert hours[("orders", "2026-02-01 12:00")] == 0
    assert ("latency_p95_ms|endpoint=/learn", "2026-02-01 12:00") not in hours.index
    assert days.loc["revenue"].index.max() == np.datetime64("2026-03-31")  # the day after is not final


def test_an_hourly_series_goes_by_the_tenants_clock_and_its_parts_add_up(published):
    with database.connect() as connection:
        connection.execute("update ops.tenant set timezone = 'Europe/Berlin'")
        load = series.read(connection, "request_load")
        alone = series.read(connection, "request_load", {"request_load", "request_load|endpoint=/buy"})
    assert load.hierarchy == {"request_load": ["request_load|endpoint=/buy", "request_load|endpoint=/learn"]}
    newest = load.frame["ds"].max()
    assert str(newest) == "2026-04-01 01:00:00+02:00" and len(load.frame) == 3 * (1008 + 1)
    assert alone.hierarchy == {"request_load": ["request_load|endpoint=/buy", "request_load|rest"]}


def test_announced_events_reach_the_series_they_concern(published, monkeypatch, tmp_path):
    text = (
        (settings().config / "forecasts.yml")
        .read_text()
        .replace(
            "events: {}",
            "events: {sale: {days: [[2026-03-28, 2026-03-29], [2026-04-04, 2026-04-04]], of: [revenue], "
            "is_promotion: true, categories: [books]}}",
        )
    )
    (tmp_path / "forecasts.yml").write_text(text)
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    with database.connect() as connection:
        known = series.read(connection, "revenue").known
        assert series.read(connection, "rooms_created").known is None
    assert known["ds"].dt.day.tolist() == [28, 29, 4] and known["sale"].tolist() == [1, 1, 1]
    sale = forecasts().events["sale"]  # prices are learned without it, too
    asked = [(date(2026, 3, 29), "books"), (date(2026, 3, 30), "books"), (date(2026, 3, 29), "toys")]
    assert [sale.promotes(day, "a", category) for day, category in asked] == [True, False, False]


def test_a_tenant_far_from_utc_gets_its_own_midnights(one_metric):
    with one_metric.transaction():
        one_metric.execute("update ops.tenant set timezone = 'Asia/Kolkata'")
    predict_revenue(one_metric)
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
