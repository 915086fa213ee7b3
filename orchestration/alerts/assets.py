"""The asset of alerts. What an evaluation does is in `evaluation`."""

from datetime import UTC, datetime

import dagster as dg

from orchestration import settings
from orchestration.alerts import lineage
from orchestration.alerts.evaluation import evaluate
from orchestration.errors import TidemarkError
from orchestration.warehouse import database


@dg.asset(
    key=["ops", "incidents"],
    group_name="alerts",
    kinds={"postgres"},
    deps=[dg.AssetKey(["api", "metric_hourly"]), dg.AssetKey(["api", "anomalies"])],
)
def incidents(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What is or was wrong: opened and resolved by the rules of `config/alerts.yml`, each told to its receivers."""
    config = settings.alerts()
    with database.connect("report", rows=True) as connection:
        done = evaluate(connection, config, datetime.now(UTC), lineage.read())
    context.log.info(
        f"{done.opened} opened, {done.resolved} resolved, {done.notified} notified, {done.waiting} rules wait for data"
    )
    if done.broken:  # what the others found is kept
        raise TidemarkError(" ".join(done.broken))
    return dg.MaterializeResult(
        metadata={
            "opened": done.opened,
            "resolved": done.resolved,
            "notified": done.notified,
            "waiting": done.waiting,
        }
    )


assets = [incidents]
