"""The job that evaluates the rules. It sends nothing: the outbox has a job of its own."""

import dagster as dg

from orchestration.alerts.assets import incidents

LONGEST_SECONDS = 900  # an evaluation that hangs keeps no later one from looking


evaluate_alerts = dg.define_asset_job(
    "alerts",
    selection=dg.AssetSelection.assets(incidents),
    description="Walks every alert rule over the hours it has not seen; opens and resolves incidents; queues the mail.",
    tags={"dagster/max_runtime": str(LONGEST_SECONDS)},
    executor_def=dg.in_process_executor,
)

jobs = [evaluate_alerts]
