"""The definitions as a whole: they load, quickly and without a database, and everything a person sees is described."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from expectations import suites
from orchestration.settings import ROOT
from orchestration.warehouse import server


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    from orchestration.definitions import defs

    dg.Definitions.validate_loadable(defs)
    return defs


@pytest.fixture(scope="module")
def run(tmp_path_factory, parsed_project) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command with a home of its own, in which dbt's project is parsed; what is named further is environment."""
    home = tmp_path_factory.mktemp("home")
    (home / "dbt").mkdir()
    (home / "dbt" / "tidemark").symlink_to(parsed_project)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIDEMARK_", "DAGSTER_"))}

    def run(*command: str, **further: str) -> subprocess.CompletedProcess:
        environment = kept | {"TIDEMARK_HOME": str(home)} | further
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    yield run
    server.stop(home / "postgres")


def tool(name: str) -> str:
    """A command of the environment in which the tests run."""
    return str(Path(sys.executable).with_name(name))


def test_the_project_is_one_that_dg_accepts(run):
    check = run(tool("dg"), "check", "defs")
    assert check.returncode == 0, check.stdout + check.stderr
    assert "All definitions loaded successfully" in check.stdout + check.stderr


def test_every_job_schedule_and_sensor_says_what_it_is_for(defs):
    repository = defs.get_repository_def()
    named = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    named += repository.schedule_defs + repository.sensor_defs
    assert {job.name for job in named} >= {"refresh", "rebuild", "train", "predict", "alerts", "report", "deliver"}
    assert [thing.name for thing in named if not thing.description] == []


def test_schedules_follow_the_tenants_clock(run, tmp_path):
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    (config / "tenant.yml").write_text("name: Test\ntimezone: Asia/Kolkata\n")
    program = (
        "from orchestration.definitions import defs;"
        "print({schedule.execution_timezone for schedule in defs.get_repository_def().schedule_defs})"
    )
    assert run(sys.executable, "-c", program, TIDEMARK_CONFIG=str(config)).stdout.strip() == "{'Asia/Kolkata'}"


def test_every_suite_guards_an_asset_that_is_there(defs):
    assets = {key.to_user_string().replace("/", ".") for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert set(suites()) <= assets


def test_stages_meet_only_in_the_warehouse(run):
    check = run(tool("lint-imports"))
    assert check.returncode == 0, check.stdout


def test_the_code_is_clean(run):
    for arguments in (["check"], ["format", "--check"]):
        check = run(tool("ruff"), *arguments, ".")
        assert check.returncode == 0, check.stdout


def test_loading_definitions_imports_nothing_heavy(run):
    heavy = ["great_expectations", "prophet", "sklearn", "pandas", "polars", "matplotlib", "typst", "dbt", "scipy"]
    program = f"import sys, orchestration.definitions; print([name for name in {heavy} if name in sys.modules])"
    assert run(sys.executable, "-c", program).stdout.strip() == "[]"
