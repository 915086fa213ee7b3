"""The job and the sensor of alerts, through Dagster."""

import dagster as dg
import pytest

from orchestration.alerts import incidents, lineage
from orchestration.alerts.assets import assets
from orchestration.alerts.evaluation import evaluate
from orchestration.alerts.jobs import jobs
from orchestration.alerts.lineage import Lineage
from orchestration.alerts.sensors import alert_evaluation, sensors
from orchestration.settings import Alerts
from orchestration.warehouse import marks
from tests.alerts.conftest import at

DEFINITIONS = dg.Definitions(assets=assets, jobs=jobs, sensors=sensors)


@pytest.fixture(autouse=True)
def _minimal(monkeypatch):
    """What depends on what needs dbt's project, which these tests do without."""
    monkeypatch.setattr(lineage, "read", Lineage)


def tick(cursor: str | None) -> tuple[bool, str | None]:
    """(whether a run is asked for, the new cursor) of a tick of the sensor."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        data = alert_evaluation.evaluate_tick(context)
        return bool(data.run_requests), data.cursor


def earlier(cursor: str, seconds: int) -> str:
    """The cursor as if its run had been asked for so much earlier."""
    seen, _, asked = cursor.partition("|")
    return f"{seen}|{float(asked) - seconds}"


def test_the_sensor_asks_once_for_each_thing_that_is_new(published):
    assert not tick(None)[0]

    marks.set_mark(published.connection, "views.metric_hourly", 7)
    published.connection.commit()
    asks, cursor = tick(None)
    assert asks
    assert not tick(cursor)[0]

    published.gate("raw.events", "failed")
    published.connection.commit()
    asks, cursor = tick(cursor)
    assert asks
    assert not tick(cursor)[0]

    for _ in range(2):  # judged again at the same load, after a training
        marks.set_mark(published.connection, "views.anomalies", 7)
        published.connection.commit()
        asks, cursor = tick(cursor)
        assert asks
    assert not tick(cursor)[0]


def test_time_alone_is_a_reason_once_an_hour_and_sooner_while_something_is_open(published):
    _, cursor = tick(None)
    assert not tick(earlier(cursor, 120))[0]
    assert tick(earlier(cursor, 3601))[0]
    assert tick(earlier(cursor, -7200))[0]  # somebody set the clock back: it is not waited for until it is later again
    published.hours("error_rate", [0.9])
    alert = {"kind": "threshold", "metric": "error_rate", "above": 0.1, "recipients": ["ops@example.com"]}
    evaluate(published.connection, Alerts.model_validate({"rules": {"error_rate": alert}}), at(1), Lineage())
    incidents.snooze(published.connection, 1, "ann", at(1), at(2))
    published.connection.commit()
    assert not tick(earlier(cursor, 30))[0]
    assert tick(earlier(cursor, 120))[0]


@pytest.mark.parametrize("table", ["views.churn_scores", "marts.metric_hourly", "views.metric_minutes"])
def test_the_sensor_leaves_alone_what_rules_do_not_read(published, table):
    marks.set_mark(published.connection, table, 7)
    published.connection.commit()
    assert not tick(None)[0]


def test_the_job_evaluates_the_shipped_rules(published):
    published.hours("error_rate", [0.01, 0.50, 0.50])
    published.hours("latency_p95_ms", [100.0] * 3, segment="endpoint=/buy")
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
        "waiting": 0,
    }
    assert [mail["subject"] for mail in published.mails()] == ["[critical] error_rate at 50.0 %, above 10.0 %"]
