"""When models are trained: at night, in the tenant's time zone."""

import dagster as dg

from orchestration.predict.jobs import train
from orchestration.settings import tenant

schedules = [
    dg.ScheduleDefinition(
        name="nightly_train",
        job=train,
        cron_schedule="30 2 * * *",
        execution_timezone=tenant().timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="At half past two, after the day's late events; the next hourly predict uses what it learned.",
    )
]
