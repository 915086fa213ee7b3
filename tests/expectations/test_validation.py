"""What `validate` promises whoever calls it, whatever the suite."""

import json
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import expectations
from expectations import suites, validate
from expectations.declaration import Suite, between, never_null, no_rows, share_by_day

ROOT = Path(__file__).resolve().parents[2]
LESSON = {"occurred_at": "2026-03-02T12:00Z", "held_reason": "score outside 0..100"}
SESSION = {
    "user_id": "u",
    "hour": "2026-03-02T12:00Z",
    "started_at": "2026-03-02T12:00Z",
    "ended_at": "2026-03-02T12:10Z",
    "length_seconds": 600,
    "actions": 2,
}


def test_every_suite_stands_where_its_table_says():
    modules = {path.relative_to(ROOT / "expectations").with_suffix("") for path in ROOT.glob("expectations/*/[!_]*.py")}
    assert {Path(table.replace(".", "/")) for table in suites()} == modules


@pytest.mark.parametrize("suite", suites().values(), ids=lambda suite: suite.table)
def test_every_expectation_is_named_once_and_described_in_a_sentence(suite):
    names = [one.name for one in suite.expectations]
    assert len(names) == len(set(names))
    assert all(
        one.description[0].isupper() and one.description.endswith(".")
        for one in suite.expectations
        if one.column is None
    )
    assert not any(one.says.endswith(".") for one in suite.expectations)


def test_every_table_that_dbt_stages_or_publishes_has_a_suite():
    """What stands in the way to people: staging, what `views` copy from the marts, and the predictions."""
    models = ROOT / "dbt_project" / "models"
    stems = {path.stem for path in models.glob("staging/*.sql")}
    staged = {f"staging.{stem}" for stem in stems if not stem.endswith("_checked") and stem != "stg_held"}
    long_series = {f"marts.{path.stem}" for path in models.glob("marts/metrics/*.sql")} - {"marts.metric_people"}
    assert staged and long_series
    assert staged | long_series | {"raw.events", "marts.user_daily"} <= suites().keys()


def test_every_table_of_predictions_has_a_suite(connection):
    tables = {
        name
        for (name,) in connection.execute("select table_name from information_schema.tables where table_schema = 'ml'")
    }
    of_models = {"models", "model_stages", "drift", "forecast_scores"}  # what is known of models predicts nothing
    assert {f"ml.{name}" for name in tables - of_models} == {table for table in suites() if table.startswith("ml.")}


def test_declaring_does_not_import_great_expectations():
    heavy = {"great_expectations", "sqlalchemy", "pandas", "dagster", "orchestration"}
    code = f"import sys, expectations; expectations.suites(); print(sorted({heavy} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_nothing_is_left_behind_and_nothing_is_printed(judge, connection, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = {path.name for path in tmp_path.rglob("*")}
    judge("staging.stg_lessons", [LESSON])
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
    assert {path.name for path in tmp_path.rglob("*")} == before
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    until = time.monotonic() + 10
    while connection.execute(others).fetchone()[0] and time.monotonic() < until:
        time.sleep(0.01)  # a server process ends a moment after its connection
    assert connection.execute(others).fetchone() == (0,)
    assert connection.execute("select count(*) from pg_class where relname like 'gx_temp%'").fetchone() == (0,)


def test_a_result_is_plain_json_with_what_was_observed(judge):
    result = judge("marts.sessions", [SESSION | {"actions": 0}, SESSION | {"started_at": "2026-03-02T13:00Z"}])
    told = json.loads(json.dumps(result.results_as_json()))
    (actions,) = (one for one in told if one["name"] == "actions at least 1")
    assert actions == {
        "name": "actions at least 1",
        "column": "actions",
        "description": "Every actions is at least 1.",
        "severity": "error",
        "success": False,
        "observed": "1 of 2",
        "unexpected": 1,
        "examples": ["0"],
        "says": "1 of 2 values of actions are below 1, such as 0",
    }


def test_errors_are_told_before_warnings(judge):
    error, warning = judge("staging.stg_lessons", [LESSON] * 20).sentences
    assert "of 2026-03-02" in error
    assert "20 lessons are held (score outside 0..100)" in warning


def test_text_is_never_an_example(judge, connection, warehouse):
    """A field may hold anybody's name, whatever it is called."""
    line = {
        "occurred_at": "2026-03-02T12:00Z",
        "order_id": "ann@example.org",
        "quantity": 0,
        "price": -1,
        "held_reason": "unknown currency",
    }
    users = [{"user_id": "ann@example.org", "day": "2026-03-02", "events": 0, "active_hours": 0, "revenue": 0}] * 2
    for table, rows in (("staging.stg_order_lines", [line] * 30), ("marts.user_daily", users)):
        result = judge(table, rows)
        assert result.status == "failed"
        assert "ann@" not in json.dumps(result.results_as_json())


def test_without_rows_the_whole_table_is_judged(connection, warehouse):
    connection.execute(
        "insert into staging.stg_requests values ('2026-03-02T12:00Z', null), ('2026-03-02T13:00Z', 'no status')"
    )
    result = validate(suites()["staging.stg_requests"], "staging.stg_requests", warehouse)
    assert (result.rows, result.status) == (2, "warned")


def test_a_table_that_is_not_there_is_said(warehouse):
    with pytest.raises(
        ValueError, match=r"^staging\.nothing cannot be judged \(relation .* does not exist.*\): build it before"
    ):
        validate(suites()["staging.stg_lessons"], "staging.nothing", warehouse)


def test_an_expectation_that_cannot_be_evaluated_is_no_pass(connection, warehouse):
    broken = Suite(
        "staging.stg_lessons",
        ("held_reason",),
        "days",
        "occurred_at",
        (no_rows("broken", "select nothing from {batch} as judged", "It is broken.", "it is broken"),),
    )
    with pytest.raises(ValueError, match=r"^staging\.stg_lessons: 'broken' cannot be evaluated: .*nothing"):
        validate(broken, "staging.stg_lessons", warehouse)
    absent = Suite("staging.stg_lessons", ("held_reason",), "days", "occurred_at", (between("grade", 0, 1),))
    with pytest.raises(ValueError, match=r"^staging\.stg_lessons: 'grade in 0\.\.1' cannot be evaluated: .*grade"):
        validate(absent, "staging.stg_lessons", warehouse)


def test_a_password_with_odd_characters_reaches_the_database(postgres, connection, warehouse):
    connection.execute("insert into staging.stg_requests values ('2026-03-02T12:00Z', null)")
    odd = warehouse.replace("postgres:@", "postgres:p%24%7Bw%7D%40%2F@", 1)
    assert odd != warehouse
    assert validate(suites()["staging.stg_requests"], "staging.stg_requests", odd).rows == 1


days_of_rows = st.lists(st.tuples(st.integers(0, 3), st.booleans() | st.just(False)), max_size=120)


@settings(max_examples=60, deadline=None)
@given(rows=days_of_rows)
def test_shares_by_day_equal_those_counted_by_hand(postgres, rows):
    expectation = share_by_day("s", "is_bad", things="rows", fault="are bad", allowed=0.1, at_least=5)
    values = ", ".join(f"(timestamptz '2026-03-02 12:00Z' + {day} * interval '1 day', {bad})" for day, bad in rows)
    batch = f"(values {values or '(now(), false)'})".replace("values (now(), false)", "select now(), false limit 0")
    query = expectation.arguments["unexpected_rows_query"].replace("as judged", "as judged (occurred_at, is_bad)")
    with psycopg.connect(postgres.replace("/postgres?", "/template_tidemark?")) as connection:
        found = connection.execute(query.format(batch=batch)).fetchall()
    totals, wrong = Counter(day for day, _ in rows), Counter(day for day, bad in rows if bad)
    expected = [
        (date(2026, 3, 2) + timedelta(days=day), totals[day], wrong[day])
        for day in sorted(totals)
        if totals[day] >= 5 and wrong[day] > 0.1 * totals[day]
    ]
    assert [row[:3] for row in found] == expected


def test_names_of_the_package_are_the_public_ones():
    assert expectations.validate is validate
    assert never_null("x").severity == "error"
