"""The job that makes a report and queues it for its readers. It sends nothing: the outbox has a job of its own."""

import dagster as dg
from pydantic import Field

from orchestration.reports.delivery import send


class ReportRequest(dg.Config):
    """Which report, and for whom."""

    name: str = Field("executive", description="a report of config/reports.yml")
    to: list[str] = Field(
        [], description="mail addresses to send it to instead of its recipients; none: its recipients"
    )


@dg.op(
    name="send_report", description="Renders a report, keeps its files and queues its mail, once per period and reader."
)
def send_report(context: dg.OpExecutionContext, config: ReportRequest) -> None:
    sent = send(config.name, config.to or None)
    context.log.info(
        f"Queued for {', '.join(sent.queued)}" if sent.queued else "Its recipients have had it: not queued again"
    )
    for sentence in sent.held:
        context.log.warning(sentence)
    metadata = {file: dg.MetadataValue.path(path) for file, path in sent.paths.items()}
    context.log_event(
        dg.AssetMaterialization(
            ["reports", config.name], metadata=metadata | {"queued": len(sent.queued), "held": len(sent.held)}
        )
    )


@dg.job(
    name="report",
    description="Makes a report of what is published: text, HTML with charts and PDF, queued for its recipients.",
    executor_def=dg.in_process_executor,
)
def report() -> None:
    send_report()


jobs = [report]
