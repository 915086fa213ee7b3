"""The sensor that asks for a delivery. It looks whether mail is due, and sends none."""

import dagster as dg

from orchestration.outbox.delivery import is_due
from orchestration.outbox.jobs import deliver_outbox
from orchestration.warehouse import database

_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


@dg.sensor(
    job=deliver_outbox,
    description="Asks for a delivery when mail is due and none is under way.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def outbox_delivery(context: dg.SensorEvaluationContext):
    # No run key: a message that was put off is due again, and the table says when.
    with database.connect("report") as connection:
        if not is_due(connection):
            return dg.SkipReason("No mail is due.")
    under_way = dg.RunsFilter(job_name=deliver_outbox.name, statuses=_UNDER_WAY)
    if context.instance.get_runs_count(under_way):
        return dg.SkipReason("A delivery is under way.")
    return dg.RunRequest()


sensors = [outbox_delivery]
