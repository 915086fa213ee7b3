"""`tidemark demo`: the main job, end to end, on simulated events. It only calls what a data engineer would call."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration import instance, summary
from orchestration.errors import TidemarkError
from orchestration.settings import settings
from orchestration.warehouse import database

DAYS = 90
EVENTS = 200_000
SEED = 1


def run(on_step: Callable[[str], None]) -> dict:
    """Simulate (once), load, refresh, train, predict, alert and report; return what happened.

    The sample ends with the day before the first call and is kept: a later call finds the same files, and loads
    nothing twice. Raises TidemarkError when a step failed.
    """
    began = time.monotonic()
    if settings().database_url or settings().smtp_url:
        raise TidemarkError(
            "The demo would mix its sample events with your own and mail its report: "
            "unset TIDEMARK_DATABASE_URL and TIDEMARK_SMTP_URL for it."
        )
    on_step("simulate")
    sample = _sample()
    with database.connect("dagster", rows=True) as connection:
        before = connection.execute("select coalesce(max(load_id), 0) as load_id from raw.loads").fetchone()["load_id"]

    gates = {"passed": 0, "warned": 0, "failed": 0}
    for job, config in (
        ("refresh", {"raw__events": {"source": "native", "paths": [str(sample)]}}),
        ("train", None),
        ("predict", None),
        ("alerts", None),
        ("report", {"send_report": {"name": "executive"}}),
        ("deliver", None),
    ):
        done = summary.of_run(instance.execute(job, config, on_step))
        if not done["success"]:
            why = "; ".join(f"{failure['step']}: {failure['reason']}" for failure in done["failed"])
            raise TidemarkError(f"The job {job} failed ({why or done['held']}): see it with `./tidemark up`.")
        gates = {status: gates[status] + count for status, count in done["gates"].items()}

    with database.connect("dagster", rows=True) as connection:
        return {
            "sample": str(sample),
            "events": summary.loads(connection, after=before),
            "events_stored": summary.loads(connection),
            "tables": summary.tables_built(connection),
            "gates": gates,
            "models": summary.models(connection),
            "incidents": summary.incidents(connection),
            "planted_incidents": len(json.loads((sample / "truth.json").read_text())["incidents"]),
            "outbox": summary.outbox(connection),
            "report": _newest_report(),
            "seconds": round(time.monotonic() - began, 1),
        }


def _sample() -> Path:
    from orchestration.simulate.simulator import simulate

    directory = settings().directory("demo")
    if not (directory / "truth.json").exists():
        today = datetime.now(UTC).date()
        simulate(directory, start=today - timedelta(days=DAYS), days=DAYS, events=EVENTS, seed=SEED)
    return directory


def _newest_report() -> str:
    reports = settings().directory("reports")
    return str(max(reports.rglob("report.pdf"), key=lambda path: path.stat().st_mtime))
