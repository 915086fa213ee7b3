"""When retention is applied: at night, in the tenant's time zone."""

import dagster as dg

from orchestration.privacy.jobs import apply_all, watch_access
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
    dg.ScheduleDefinition(
        name="hourly_watch_access",
        job=watch_access,
        cron_schedule="50 * * * *",
        execution_timezone=tenant().timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Ten minutes before the hour, when little else runs.",
    ),
]
