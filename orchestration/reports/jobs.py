"""The job that makes a report and queues it for its readers. It sends nothing: the outbox has a job of its own."""

import dagster as dg
from pydantic import Field

from orchestration.reports.delivery import send


class ReportRequest(dg.Config):
    """Which report, of when, and for whom."""

    name: str = Field("executive", description="a report of config/reports.yml")
    to: list[str] = Field(
        [], description="mail addresses to send it to instead of its recipients; none: its recipients"
    )
    period: str = Field("", description="such as 2026-W10; none: the newest complete one")


@dg.op(
    name="send_report",
    description="Makes a report for each of its readers, keeps it and queues its mail, once per period and reader.",
)
def send_report(context: dg.OpExecutionContext, config: ReportRequest) -> None:
    sent = send(config.name, config.to or None, config.period or None)
    context.log.info(
        f"Queued for {', '.join(sent.queued)}" if sent.queued else "Its recipients have had it: not queued again"
    )
    for sentence in sent.held:
        context.log.warning(f"Held back: {sentence}")
    metadata = {file: dg.MetadataValue.path(path) for file, path in sent.paths.items()}
    context.log_event(
        dg.AssetMaterialization(
            ["reports", config.name], metadata=metadata | {"queued": len(sent.queued), "held": len(sent.held)}
        )
    )


@dg.job(
    name="report",
    description="Makes a report of what is published: mail, PDF, workbook and CSV, queued for its recipients.",
    executor_def=dg.in_process_executor,
)
def report() -> None:
    send_report()


jobs = [report]
