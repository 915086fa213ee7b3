"""The job that sends mail, apart from all others so that a slow mail server delays nothing else."""

import dagster as dg
from pydantic import Field

from orchestration.outbox.delivery import deliver


class Delivery(dg.Config):
    """How much one run sends."""

    limit: int = Field(200, ge=1, description="messages that one run sends at most; the next run takes the rest")


@dg.op(description="Sends the messages of ops.outbox that are due.")
def send_due_messages(context: dg.OpExecutionContext, config: Delivery) -> None:
    done = deliver(config.limit)
    context.log.info(f"{done.sent} sent, {done.retried} put off, {done.dead} given up")
    if done.stopped:
        context.log.warning(f"Stopped early, the rest stays due: {done.stopped}")
    context.add_output_metadata({"sent": done.sent, "retried": done.retried, "dead": done.dead})


LONGEST_SECONDS = 300  # a server that drips its answers holds no other run up for longer


@dg.job(
    name="deliver",
    tags={"dagster/max_runtime": str(LONGEST_SECONDS)},
    description="Sends the mail that is due: over TIDEMARK_SMTP_URL, or to files when it is unset.",
    executor_def=dg.in_process_executor,
)
def deliver_outbox() -> None:
    send_due_messages()


jobs = [deliver_outbox]
