"""The assets as Dagster runs them."""

import dagster as dg

from orchestration.predict import assets, jobs, registry, schedules, sensors
from orchestration.predict.registry import Metrics
from orchestration.warehouse import database


def test_train_and_predict_materialize_with_their_scores_as_metadata(published):
    result = dg.materialize(
        assets.assets,
        run_config={
            "ops": {
                "ml__models": {"config": {"names": ["forecast_rooms_created", "anomalies_hourly"]}},
                "ml__forecasts": {"config": {"names": ["rooms_created"]}},
            }
        },
    )
    assert result.success
    metadata = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert 0 < metadata["ml/models"]["forecast_rooms_created MASE"].value < 2
    assert "serving" in metadata["ml/models"]["forecast_rooms_created"].value
    assert metadata["ml/forecasts"]["rows"].value == 14
    with database.connect() as connection:
        assert connection.execute("select count(*) from ml.anomalies").fetchone()[0] > 0


def test_a_model_without_data_is_skipped_not_failed(published):
    with database.connect() as connection:
        connection.execute("truncate api.metric_daily, api.metric_hourly, api.user_daily")
    result = dg.materialize(assets.assets)
    assert result.success
    [models] = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(["ml", "models"])]
    assert models.materialization.metadata["churn"].value.startswith("not trained: ")


def test_training_runs_at_night_in_the_tenants_zone():
    [schedule] = schedules.schedules
    assert schedule.cron_schedule == "30 2 * * *" and schedule.job_name == jobs.train.name == "train"
    dg.Definitions(assets=assets.assets, jobs=jobs.jobs, schedules=schedules.schedules).resolve_job_def("train")


def test_what_drifted_or_does_not_cover_is_trained_again_and_only_that(warehouse):
    """Of three models in service, one drifted, one covers a third instead of 80 %, and one is well."""
    metrics = Metrics(measure="x", better="lower", value=0.5, baseline=1.0, baseline_name="plain", tested_on="1")
    with database.connect() as connection:
        for name in ("churn", "forecast_orders", "forecast_revenue"):
            registry.register(connection, name, b"{}", metrics, 1, "hash", {})
        connection.execute("""
            insert into ml.drift values
                ('churn-1', 1, 'events_7', 2000, 0.5, 0.3, true), ('churn-1', 1, 'score', 2000, 0, 0, false)""")
        connection.execute("""
            insert into ml.forecast_scores
                (series_id, model_id, load_id, ds, horizon, value, yhat, mase, smape, pinball, is_in_80, is_in_95)
            select 'x', model, 1, '2026-01-01'::timestamptz + place * interval '1 day', 1, 1, 1, 1, 1, 1,
                place % 3 = 0 or model = 'forecast_revenue-1' and place % 3 = 1, true
            from generate_series(0, 59) as places (place)
            cross join unnest(array['forecast_orders-1', 'forecast_revenue-1']) as models (model)""")
        connection.commit()
    asked = sensors.retraining_due(dg.build_sensor_context())
    names = [one.run_config["ops"]["ml__models"]["config"]["names"] for one in asked]
    assert names == [["churn"], ["forecast_orders"]]
    assert asked[0].tags["tidemark/cause"] == "drift of events_7"
    assert asked[1].tags["tidemark/cause"] == "33 % of the truth within its 80 % intervals"
    with database.connect() as connection:
        connection.execute("update ml.drift set is_drift = false")
        connection.execute("delete from ml.forecast_scores")
    assert isinstance(sensors.retraining_due(dg.build_sensor_context()), dg.SkipReason)
