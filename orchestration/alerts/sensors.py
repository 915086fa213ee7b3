"""The sensor that asks for an evaluation of the alert rules. It reads how far things are, and does no work itself."""

import dagster as dg
import psycopg

from orchestration.alerts.jobs import evaluate_alerts
from orchestration.warehouse import database


def position(connection: psycopg.Connection) -> str:
    """What the rules could see now: the load of the hours, when anomalies were published, the newest result of a gate.

    Each part only grows, so no position comes again, and no run key that is made from one.
    """
    hours, anomalies, gates = connection.execute(
        """select
               coalesce(max(load_id) filter (where table_name = 'views.metric_hourly'), 0),
               coalesce(max(extract(epoch from built_at)) filter (where table_name = 'views.anomalies'), 0),
               (select coalesce(max(gate_result_id), 0) from ops.gate_results)
           from ops.tidemarks"""
    ).fetchone()
    return f"hours {hours} anomalies {anomalies} gates {gates}"


@dg.sensor(
    job=evaluate_alerts,
    description="Asks for an evaluation when new hours or anomalies were published, or a gate was judged.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_evaluation(context: dg.SensorEvaluationContext):
    with database.connect() as connection:
        now = position(connection)
    if now == (context.cursor or "hours 0 anomalies 0 gates 0"):
        return dg.SkipReason(f"Nothing new since {now}.")
    context.update_cursor(now)
    return dg.RunRequest(run_key=now)


sensors = [alert_evaluation]
