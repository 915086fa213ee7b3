"""What a gate does in a run: it shows what it saw, and stops what is downstream."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from expectations import ExpectationResult, GateResult, suites
from orchestration.gates.assets import asset_checks, markdown, outcome
from tests.gates.conftest import lesson, load

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STAGED, READ = dg.AssetKey(["staging", "stg_lessons"]), dg.AssetKey(["marts", "learning_hourly"])


@dg.asset(key=STAGED)
def staged() -> None: ...


@dg.asset(key=READ, deps=[staged])
def read() -> None: ...


def refresh() -> dg.ExecuteInProcessResult:
    check = next(check for check in asset_checks if check.check_key.asset_key == STAGED)
    definitions = dg.Definitions(assets=[staged, read], asset_checks=[check], jobs=[dg.define_asset_job("refresh")])
    job = definitions.resolve_job_def("refresh")
    return job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)


def materialized(run: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in run.get_asset_materialization_events()}


@pytest.mark.parametrize(
    ("scores", "success", "severity", "reaches"),
    [
        ([50] * 30, True, None, {STAGED, READ}),
        ([50] * 200 + [101], True, dg.AssetCheckSeverity.WARN, {STAGED, READ}),
        ([140] * 12 + [50] * 18, False, dg.AssetCheckSeverity.ERROR, {STAGED}),
    ],
    ids=["passed", "warned", "failed"],
)
def test_only_an_error_stops_what_is_downstream(connection, scores, success, severity, reaches):
    load(connection, 1, [lesson(NOON + timedelta(minutes=n), score) for n, score in enumerate(scores)])
    run = refresh()
    (evaluation,) = run.get_asset_check_evaluations()
    assert run.success is success
    assert evaluation.passed is (severity is None)
    assert severity is None or evaluation.severity is severity
    assert materialized(run) == reaches


def test_a_failure_holds_in_later_runs_too(connection):
    load(connection, 1, [lesson(NOON + timedelta(minutes=n), 140) for n in range(30)])
    assert not refresh().success
    assert materialized(refresh()) == {STAGED}
    runs = connection.execute("select count(distinct run_id), count(*) from ops.gate_results where status = 'failed'")
    assert runs.fetchone() == (2, 2)


def test_the_interface_shows_every_observed_value(connection):
    load(connection, 1, [lesson(NOON + timedelta(minutes=n), 140) for n in range(30)])
    (evaluation,) = refresh().get_asset_check_evaluations()
    assert "100.0 % of the 30 lessons of 2026-03-02 cannot be true" in evaluation.description
    assert evaluation.metadata["rows"].value == 30
    table = evaluation.metadata["expectations"].value
    assert "| ! | No lessons are held. | warning | 30 lessons are held (score outside 0..100)" in table


def test_a_gate_with_nothing_to_judge_takes_no_time(connection):
    load(connection, 1, [lesson(NOON, 50)])
    assert refresh().success
    started = time.perf_counter()
    run = refresh()
    assert run.success and time.perf_counter() - started < 2
    (evaluation,) = run.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.description) == (True, "Nothing changed since it last passed.")


def test_there_is_a_blocking_gate_for_every_suite():
    gates = {
        spec.asset_key.to_user_string().replace("/", "."): spec for one in asset_checks for spec in one.check_specs
    }
    assert gates.keys() == suites().keys()
    assert {(spec.name, spec.blocking) for spec in gates.values()} == {("gate", True)}


def test_definitions_load_without_great_expectations():
    code = "import sys, orchestration.gates.assets; print('great_expectations' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def one_result(**changes) -> ExpectationResult:
    met = dict(name="n", column=None, description="It holds.", severity="error", success=True, observed="0",
               unexpected=0, examples=(), says=None)  # fmt: skip
    return ExpectationResult(**(met | changes))


def test_a_cell_cannot_break_the_table():
    result = GateResult("t", 1, (one_result(success=False, says="revenue|currency=EUR is odd"),))
    assert markdown(result).splitlines()[-1] == "| ✗ | It holds. | error | revenue\\|currency=EUR is odd |"


def test_nothing_changed_is_a_pass():
    assert outcome(None).passed is True
