"""A run whose process was killed together with its code server is noticed, and not one that still works."""

import os
import subprocess

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus

from orchestration import instance


@dg.job
def idle():
    pass


@pytest.fixture
def dagster(warehouse, monkeypatch):
    for name, value in instance.environment().items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.mark.parametrize(("killed", "expected"), [(True, WorkerStatus.FAILED), (False, WorkerStatus.RUNNING)])
def test_the_health_of_a_run_is_that_of_its_process(dagster, killed, expected):
    run = dagster.create_run_for_job(idle)
    pid = os.getpid()
    if killed:
        gone = subprocess.Popen(["true"])
        gone.wait()
        pid = gone.pid
    dagster.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    assert dagster.run_launcher.supports_check_run_worker_health
    assert dagster.run_launcher.check_run_worker_health(run).status == expected


def test_a_run_that_has_not_said_its_process_yet_is_not_judged(dagster):
    run = dagster.create_run_for_job(idle)
    assert dagster.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
