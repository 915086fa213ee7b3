"""A schedule for each report of `config/reports.yml`, on its own clock or the tenant's."""

import dagster as dg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports.jobs import report


def schedule(name: str, wanted: settings.Report, zone: str) -> dg.ScheduleDefinition:
    """Sends one report when its `cron` says so, in `zone` unless the report names its own."""
    try:
        return _definition(name, wanted, zone)
    except dg.DagsterInvalidDefinitionError as error:
        raise TidemarkError(
            f"config/reports.yml: {name}.cron: {wanted.cron!r} is no time that comes: {error}"
        ) from error


def _definition(name: str, wanted: settings.Report, zone: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"report_{name}",
        job=report,
        cron_schedule=wanted.cron,
        execution_timezone=wanted.timezone or zone,
        run_config={"ops": {"send_report": {"config": {"name": name}}}},
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=wanted.description or None,
    )


schedules = [schedule(name, wanted, settings.tenant().timezone) for name, wanted in settings.reports().items()]
