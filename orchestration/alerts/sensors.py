"""The sensor that asks for an evaluation of the alert rules. It reads how far things are, and does no work itself."""

from datetime import UTC, datetime

import dagster as dg
import psycopg

from orchestration import settings
from orchestration.alerts import telling
from orchestration.alerts.jobs import evaluate_alerts
from orchestration.settings import MetricRule
from orchestration.warehouse import database

NOTHING = "hours 0 anomalies 0 gates 0 minutes 0"
_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
PATIENCE, REST = 60, 3600  # seconds after which time alone is a reason to look: while something is due, and else


def position(connection: psycopg.Connection, has_minutes: bool) -> str:
    """What the rules could see now: the load of the hours, when anomalies were published, the newest result of a gate.

    And the load of the minutes, if a rule looks at them. Each part only grows, so no position comes again.
    """
    row = connection.execute(
        """select
               coalesce(max(load_id) filter (where table_name = 'views.metric_hourly'), 0) as hours,
               coalesce(max(extract(epoch from built_at)) filter (where table_name = 'views.anomalies'), 0)
                   as anomalies,
               (select coalesce(max(gate_result_id), 0) from ops.gate_results) as gates,
               case when %s then coalesce(max(load_id) filter (where table_name = 'views.metric_minutes'), 0)
                   else 0 end as minutes
           from ops.tidemarks""",
        [has_minutes],
    ).fetchone()
    return " ".join(f"{name} {value}" for name, value in row.items())


@dg.sensor(
    job=evaluate_alerts,
    description="Asks for an evaluation when hours, minutes or anomalies were published, a gate was judged, or time "
    "has passed while something is open.",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_evaluation(context: dg.SensorEvaluationContext):
    config, moment = settings.alerts(), datetime.now(UTC).timestamp()
    seen, _, asked = (context.cursor or f"{NOTHING}|{moment}").partition("|")
    has_minutes = any(isinstance(rule, MetricRule) and rule.step == "minute" for rule in config.rules.values())
    with database.connect("report", rows=True) as connection:
        now = position(connection, has_minutes)
        every = PATIENCE if telling.is_due(connection, config, datetime.now(UTC)) else REST
    if now == seen and 0 <= moment - float(asked) < every:  # a clock that was set back is a reason to look, too
        context.update_cursor(f"{seen}|{asked}")
        return dg.SkipReason(f"Nothing new since {now}.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=evaluate_alerts.name, statuses=_UNDER_WAY)):
        return dg.SkipReason("An evaluation is under way.")
    context.update_cursor(f"{now}|{moment}")
    return dg.RunRequest()


sensors = [alert_evaluation]
