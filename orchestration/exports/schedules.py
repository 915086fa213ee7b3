"""A schedule for each export of `config/exports.yml` that has a `cron`, on its own clock or the tenant's."""

import dagster as dg

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.exports.jobs import export_table


def schedule(name: str, wanted: settings.Export, zone: str) -> dg.ScheduleDefinition:
    """Makes one export when its `cron` says so, in `zone` unless the export names its own."""
    config = {"name": name, "requested_by": f"schedule export_{name}"}
    try:
        return dg.ScheduleDefinition(
            name=f"export_{name}",
            job=export_table,
            cron_schedule=wanted.cron,
            execution_timezone=wanted.timezone or zone,
            run_config={"ops": {"write_export": {"config": config}}},
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=wanted.description or f"Exports {wanted.table}.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise TidemarkError(
            f"config/exports.yml: {name}.cron: {wanted.cron!r} is no time that comes: {error}"
        ) from error


schedules = [
    schedule(name, wanted, settings.tenant().timezone) for name, wanted in settings.exports().items() if wanted.cron
]
