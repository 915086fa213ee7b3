"""Dagster's own instance: its home, its storage in the warehouse's server, and runs of its jobs in this process."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from orchestration.settings import settings
from orchestration.warehouse import database

TEMPLATE = Path(__file__).with_name("dagster.yaml")


def environment() -> dict[str, str]:
    """Make Dagster's home and database ready; return the environment in which a process uses them."""
    home = settings().directory("dagster")
    shutil.copyfile(TEMPLATE, home / "dagster.yaml")
    return {"DAGSTER_HOME": str(home), "TIDEMARK_DAGSTER_URL": database.dagster_url(), "DAGSTER_DISABLE_TELEMETRY": "1"}


def execute(job: str, config: dict | None = None, on_step: Callable[[str], None] = lambda step: None):
    """Run a job of the definitions in this process, recorded in Dagster's instance; return its result.

    `config` maps an op's name to its config; `on_step` is told each step's name as it starts.
    """
    os.environ.update(environment())
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.progress import told

    with dg.DagsterInstance.get() as instance, told(on_step):
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_config={
                "ops": {op: {"config": values} for op, values in (config or {}).items()},
                "loggers": {"progress": {}},
            },
            raise_on_error=False,
        )
