"""The job and the sensor of alerts, through Dagster."""

import dagster as dg
import pytest

from orchestration.alerts.assets import assets
from orchestration.alerts.jobs import jobs
from orchestration.alerts.sensors import alert_evaluation, sensors
from orchestration.warehouse import marks

DEFINITIONS = dg.Definitions(assets=assets, jobs=jobs, sensors=sensors)


def tick(cursor: str | None) -> tuple[str | None, str | None]:
    """(run key, new cursor) of a tick of the sensor."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        data = alert_evaluation.evaluate_tick(context)
        return (data.run_requests[0].run_key if data.run_requests else None), data.cursor


def test_the_sensor_asks_once_for_each_thing_that_is_new(published):
    assert tick(None)[0] is None

    marks.set_mark(published.connection, "views.metric_hourly", 7)
    published.connection.commit()
    first, cursor = tick(None)
    assert first is not None
    assert tick(cursor)[0] is None

    published.gate("raw.events", "failed")
    published.connection.commit()
    second, cursor = tick(cursor)
    assert tick(cursor)[0] is None

    marks.set_mark(published.connection, "views.anomalies", 7)
    published.connection.commit()
    third, cursor = tick(cursor)
    marks.set_mark(published.connection, "views.anomalies", 7)  # judged again at the same load, after a training
    published.connection.commit()
    fourth, _ = tick(cursor)
    assert len({first, second, third, fourth} - {None}) == 4


@pytest.mark.parametrize("table", ["views.churn_scores", "marts.metric_hourly"])
def test_the_sensor_leaves_alone_what_rules_do_not_read(published, table):
    marks.set_mark(published.connection, table, 7)
    published.connection.commit()
    assert tick(None)[0] is None


def test_the_job_evaluates_the_shipped_rules(published):
    published.ats("error_rate", [0.01, 0.50, 0.50])
    published.ats("latency_p95_ms", [100.0] * 3, segment="endpoint=/buy")
    for metric in ("active_users", "content_views"):
        published.connection.execute(
            "insert into api.metrics values (%s, 's', 'd', 'count', 'distinct', 'up')", [metric]
        )
    published.connection.commit()
    with dg.DagsterInstance.ephemeral() as instance:
        result = DEFINITIONS.resolve_job_def("alerts").execute_in_process(instance=instance)
    [materialization] = result.asset_materializations_for_node("ops__incidents")
    assert {key: value.value for key, value in materialization.metadata.items()} == {
        "opened": 1,
        "resolved": 0,
        "notified": 1,
    }
    assert [mail["subject"] for mail in published.mails()] == ["[critical] error_rate at 50.0 %, above 10.0 %"]
