"""The assets as Dagster runs them."""

import dagster as dg

from orchestration.predict import assets, jobs, schedules
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
