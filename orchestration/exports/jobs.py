"""The job that makes an export of `config/exports.yml`."""

import dagster as dg
from pydantic import Field

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.exports.export import export

TOLD_ROWS = 1_000_000


class ExportRequest(dg.Config):
    """Which export, and for whom."""

    name: str = Field(description="an export of config/exports.yml")
    requested_by: str = Field("the Dagster UI", description="who is recorded to have asked for it")


@dg.op(
    name="write_export",
    description="Writes a table to a file, puts it into its place with its manifest, and records who took what.",
    retry_policy=dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL),
)
def write_export(context: dg.OpExecutionContext, config: ExportRequest) -> None:
    wanted = settings.exports().get(config.name)
    if wanted is None:
        raise dg.Failure(f"config/exports.yml has no export {config.name!r}.", allow_retries=False)
    told = 0

    def tell(rows: int) -> None:
        nonlocal told
        if rows // TOLD_ROWS > told:
            told = rows // TOLD_ROWS
            context.log.info(f"{rows:,} rows so far")

    try:
        done = export(config.name, wanted, config.requested_by, progress=tell)
    except TidemarkError as error:
        raise dg.Failure(str(error)) from error
    if not done.files:
        context.log.info(f"Nothing changed since tide mark {done.since}: nothing is exported.")
        return
    kept = ("export_id", "rows", "bytes", "sha256", "load_id")
    metadata = {key: done.manifest[key] for key in kept} | {"file": done.files[0], "manifest": done.files[1]}
    context.log_event(dg.AssetMaterialization(["exports", config.name], metadata=metadata))


@dg.job(
    name="export",
    description="Writes a view of api or a table of marts to a file, with its manifest, as config/exports.yml says.",
    executor_def=dg.in_process_executor,
)
def export_table() -> None:
    write_export()


jobs = [export_table]
