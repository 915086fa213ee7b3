"""The whole pipeline once over a small simulation, in Dagster, with a database and a home of its own."""

import os
import shutil
from types import SimpleNamespace

import pytest

from orchestration import demo
from orchestration.settings import ROOT
from orchestration.warehouse import database, server

SECRET = "canary-of-the-secret-key"


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory, parsed_project):
    """What `demo` returned, and the home in which it ran: 90 days of the five systems in 30,000 events, days in UTC.

    Tests that change what is there leave it as they found it.
    """
    folder = tmp_path_factory.mktemp("pipeline")
    config = shutil.copytree(ROOT / "config", folder / "config")
    (config / "tenant.yml").write_text("name: Test\ntimezone: UTC\ncurrency: EUR\nreporting_limits: {EUR: 1000}\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TIDEMARK_", "DAGSTER_"))}
    environment |= {"TIDEMARK_HOME": str(folder / "home"), "TIDEMARK_CONFIG": str(config)}
    environment["TIDEMARK_SECRET_KEY"] = SECRET
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(demo, "EVENTS", 30_000)
        patch.setattr("orchestration.transform.project.target", lambda: parsed_project)
        patch.setattr("orchestration.alerts.lineage.manifest", lambda: parsed_project / "manifest.json")
        steps = []
        yield SimpleNamespace(home=folder / "home", result=demo.run(steps.append), steps=steps)
        server.stop((folder / "home" / "postgres").resolve())
        database.forget()
