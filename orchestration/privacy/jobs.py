"""The job that lets go what is past its time: in the warehouse, and in Dagster's own records."""

from datetime import datetime

import dagster as dg

from orchestration.privacy import models, retention
from orchestration.settings import retention as configured
from orchestration.warehouse import database

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
RUNS_AT_ONCE = 100


@dg.op(description="Archives or drops the days of raw.events that config/retention.yml no longer keeps.")
def apply_retention(context: dg.OpExecutionContext) -> None:
    done = retention.apply()
    for day, reason in done.waiting.items():
        context.log.warning(f"{day} waits: {reason}")
    context.add_output_metadata(
        {
            "newest complete event time": str(done.as_of),
            "days expired": [f"{day['day']}: {day['rows']} rows" for day in done.expired],
            "days waiting": len(done.waiting),
            "events gone before their days": done.types,
            "archives deleted": len(done.archives),
            "rows removed from other tables": done.rows,
            "partitions made ahead": done.days_ahead,
        }
    )


@dg.op(description="Deletes the artefacts of replaced models that learned from somebody who was erased.")
def forget_models(context: dg.OpExecutionContext) -> None:
    with database.connect() as connection:
        deleted, overdue = models.forget(connection)
    for model in overdue:
        context.log.error(f"{model} learned from somebody who was erased, and was to be trained again by now: train.")
    context.add_output_metadata({"artefacts deleted": len(deleted), "models overdue": len(overdue)})


@dg.op(description="Removes Dagster's records of runs that ended long ago.")
def prune_runs(context: dg.OpExecutionContext) -> None:
    """The instance's own `retention` setting prunes the ticks of schedules and sensors; runs have no such setting."""
    with database.connect("eraser") as connection:
        query = "select now() - %s::interval"
        (before,) = connection.execute(query, [configured().runs]).fetchone()
    context.add_output_metadata({"runs removed": delete_runs(context.instance, before)})


def delete_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended before a moment, with their event logs; return their number."""
    ended, deleted = dg.RunsFilter(statuses=ENDED, updated_before=before), 0
    while runs := instance.get_runs(ended, limit=RUNS_AT_ONCE):
        for run in runs:
            instance.delete_run(run.run_id)
        deleted += len(runs)
    return deleted


@dg.job(
    name="retention",
    description="Archives or drops what config/retention.yml no longer keeps, makes the partitions of the days to "
    "come, brings statistics up to date, and removes old records of runs.",
    executor_def=dg.in_process_executor,
)
def apply_all() -> None:
    apply_retention()
    forget_models()
    prune_runs()


jobs = [apply_all]
