"""When retention is applied: at night, in the tenant's time zone."""

import dagster as dg

from orchestration.privacy.jobs import apply_all
from orchestration.settings import tenant

schedules = [
    dg.ScheduleDefinition(
        name="nightly_retention",
        job=apply_all,
        cron_schedule="30 3 * * *",
        execution_timezone=tenant().timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="At half past three, when the hour's refresh is done.",
    ),
]
