"""The sensor that asks for an evaluation of the alert rules. It reads how far things are, and does no work itself."""

from datetime import UTC, datetime

import dagster as dg
import psycopg

from orchestration import settings
from orchestration.alerts.jobs import evaluate_alerts
from orchestration.settings import MetricRule
from orchestration.warehouse import database

NOTHING = "hours 0 anomalies 0 gates 0 minutes 0"
_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
PATIENCE, REST = 60, 3600  # seconds after which time alone is a reason to look: while something is to be told, and else


def position(connection: psycopg.Connection, has_minutes: bool) -> str:
    """What the rules could see now: the load of the hours, when anomalies were published, the newest result of a gate.

    And the load of the minutes, if a rule looks at them. Each part only grows, so no position comes again.
    """
    hours, anomalies, minutes, gates = connection.execute(
        """select
               coalesce(max(load_id) filter (where table_name = 'views.metric_hourly'), 0),
               coalesce(max(extract(epoch from built_at)) filter (where table_name = 'views.anomalies'), 0),
               coalesce(max(load_id) filter (where table_name = 'views.metric_minutes'), 0),
               (select coalesce(max(gate_result_id), 0) from ops.gate_results)
           from ops.tidemarks"""
    ).fetchone()
    return f"hours {hours} anomalies {anomalies} gates {gates} minutes {minutes if has_minutes else 0}"


def is_waiting(connection: psycopg.Connection) -> bool:
    """Whether something of an incident may still be told: escalations, snoozes and quiet hours end by the clock."""
    return connection.execute("select exists (select from ops.incidents where not is_settled)").fetchone()[0]


@dg.sensor(
    job=evaluate_alerts,
    description="Asks for an evaluation when hours, minutes or anomalies were published, a gate was judged, or time "
    "has passed while something is open.",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_evaluation(context: dg.SensorEvaluationContext):
    rules = settings.alerts().rules.values()
    with database.connect() as connection:
        now = position(connection, any(isinstance(rule, MetricRule) and rule.step == "minute" for rule in rules))
        every = PATIENCE if is_waiting(connection) else REST
    seen, _, asked = (context.cursor or f"{NOTHING}|{datetime.now(UTC).timestamp()}").partition("|")
    moment = datetime.now(UTC).timestamp()
    if now == seen and moment < float(asked) + every:
        context.update_cursor(f"{seen}|{asked}")
        return dg.SkipReason(f"Nothing new since {now}.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=evaluate_alerts.name, statuses=_UNDER_WAY)):
        return dg.SkipReason("An evaluation is under way.")
    context.update_cursor(f"{now}|{moment}")
    return dg.RunRequest()


sensors = [alert_evaluation]
