"""The sensor that asks for the reports whose time has come, by config/reports.yml as it is then. It sends nothing."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions
from orchestration.reports.jobs import report


def last_time(name: str, wanted: settings.Report, tenant_zone: str, now: datetime) -> datetime:
    """When a report's `cron` last said so, on its clock or the tenant's. Raises TidemarkError when it never does."""
    from dagster._utils.schedules import reverse_cron_string_iterator

    zone = wanted.timezone or tenant_zone
    try:
        return next(reverse_cron_string_iterator(now.timestamp(), wanted.cron, zone)).astimezone(ZoneInfo(zone))
    except ValueError as error:  # the 31st of February
        where = settings.place(definitions.FILE, "reports", name, "cron")
        raise TidemarkError(f"{where} reports.{name}.cron: {wanted.cron!r} is no time that comes: {error}") from error


def due(after: datetime, now: datetime) -> dict[str, datetime]:
    """The reports whose time came in (after, now], each with the newest time that it did."""
    definitions.check()
    zone = settings.tenant().timezone
    times = {name: last_time(name, one, zone, now) for name, one in settings.reports().reports.items()}
    return {name: moment for name, moment in times.items() if after < moment <= now}


@dg.sensor(
    job=report,
    description="Asks for each report of config/reports.yml when its cron says so; after a pause, once for all missed.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def report_times(context: dg.SensorEvaluationContext):
    now = datetime.now(UTC)
    after = datetime.fromisoformat(context.cursor) if context.cursor else now
    found = due(after, now)
    for name, moment in found.items():
        config = {"ops": {"send_report": {"config": {"name": name}}}}
        yield dg.RunRequest(run_key=f"{name} {moment.isoformat()}", run_config=config)
    context.update_cursor(now.isoformat())
    if not found:
        yield dg.SkipReason("No report's time has come.")


sensors = [report_times]
