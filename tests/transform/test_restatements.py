"""What is final, and what becomes of a final figure that changes."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from orchestration.warehouse import marks
from tests.transform.events import load

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)  # a Wednesday
WEEK = date(2026, 3, 2)


@pytest.fixture
def utc(connection) -> psycopg.Connection:
    connection.execute("update ops.tenant set timezone = 'UTC'")
    connection.commit()
    return connection


@pytest.fixture
def settled(begin_with, warehouse, dbt) -> Iterator[psycopg.Connection]:
    """Two events at ten o'clock, and one five weeks later, in the next quarter: all before is final."""

    def settle() -> None:
        with psycopg.connect(warehouse) as connection:
            connection.execute("create table raw.events_all partition of raw.events default")
            load(connection, [page(1, TEN), page(2, TEN + timedelta(minutes=5)), page(3, TEN + timedelta(weeks=5))])
            refresh(dbt, 1)
            assert restated(connection) == []

    begin_with("settled", settle)
    with psycopg.connect(warehouse) as connection:
        yield connection


def refresh(dbt, high_mark: int) -> None:
    dbt.build("staging marts published", high_mark)


def page(number: object, at: datetime, user: str = "u") -> dict:
    return {"event_id": f"e{number}", "event_type": "page_viewed", "occurred_at": at, "user_id": user, "properties": {}}


def loads(connection: psycopg.Connection, cause: str, *hours: datetime) -> int:
    """Commit a load without events that touches hours; returns its number."""
    (load_id,) = connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at, cause)
           select max(load_id) + 1, 'test', '', '', 0, 0, 0, 0, 0, now(), %s from raw.loads returning load_id""",
        [cause],
    ).fetchone()
    for hour in hours:
        connection.execute("insert into raw.touched_hours values (%s, %s)", [load_id, hour])
    connection.commit()
    return load_id


def restated(connection: psycopg.Connection, metric: str = "events") -> list[tuple]:
    rows = connection.execute(
        """select grain, coalesce(hour::timestamp, day), old_value, new_value, cause, load_id
           from api.restatements where metric = %s order by 1, 2, restated_at""",
        [metric],
    ).fetchall()
    connection.rollback()
    return [
        (grain, int(old), new if new is None else int(new), cause, load_id)
        for grain, _, old, new, cause, load_id in rows
    ]


def test_a_late_event_restates_its_hour_and_all_that_holds_it(dbt, settled):
    refresh(dbt, load(settled, [page(4, TEN + timedelta(minutes=9))]))
    assert restated(settled) == [
        (grain, 2, 3, "late", 2) for grain in ("day", "hour", "month", "quarter", "week")
    ]  # fmt: skip
    assert restated(settled, "active_users") == []  # it was the same person


def test_an_event_in_time_restates_nothing(dbt, settled):
    refresh(dbt, load(settled, [page(4, TEN + timedelta(weeks=5, minutes=1))]))
    assert restated(settled) == []


def test_a_figure_that_vanishes_has_no_new_value(dbt, settled):
    settled.execute("delete from raw.events where occurred_at < '2026-03-05'")
    refresh(dbt, loads(settled, "erasure", TEN))
    assert {row for row in restated(settled) if row[0] == "hour"} == {("hour", 2, None, "erasure", 2)}
    assert len(restated(settled)) == 5


@pytest.mark.parametrize("cause", ["replay", "erasure", "rebuild"])
def test_the_cause_is_that_of_the_load(dbt, settled, cause):
    settled.execute("delete from raw.events where event_id = 'e2'")
    refresh(dbt, loads(settled, cause, TEN))
    assert {row[1:] for row in restated(settled)} == {(2, 1, cause, 2)}


def test_hours_are_touched_for_a_cause(utc):
    load(utc, [page(1, TEN), page(2, TEN + timedelta(days=9))])
    utc.execute("select setval('raw.load_ids', 1)")
    assert marks.touch_hours(utc, TEN, TEN + timedelta(days=1), "contract") == 1
    assert utc.execute("select source, cause from raw.loads where load_id = 2").fetchone() == ("contract", "contract")


def test_of_several_loads_the_one_that_touched_it_is_named_and_an_erasure_before_a_rebuild(dbt, settled):
    load(settled, [page(4, TEN + timedelta(weeks=5, minutes=1))])
    settled.execute("delete from raw.events where event_id = 'e2'")
    loads(settled, "erasure", TEN)
    refresh(dbt, loads(settled, "rebuild", TEN))
    assert {row[1:] for row in restated(settled)} == {(2, 1, "erasure", 3)}


def test_a_rebuild_that_finds_the_same_restates_nothing(dbt, settled):
    refresh(dbt, loads(settled, "rebuild", TEN))
    assert restated(settled) == []


def test_a_changed_definition_restates_by_contract(dbt, settled):
    settled.execute("update views.metric_hourly set value = 7 where metric = 'events' and hour = %s", [TEN])
    settled.execute("update ops.definitions set definition = 'older' where relation = 'views.metric_hourly'")
    settled.commit()
    refresh(dbt, 1)
    assert restated(settled) == [("hour", 7, 2, "contract", 1)]


def test_a_change_of_the_code_is_applied_to_all_that_builds_on_it(dbt, utc, tmp_path):
    """In a copy of the project, a status of 404 is an error, a table has another key, and a comment is new."""
    request = {"event_type": "request_served", "properties": {"endpoint": "/a", "status": 404, "latency_ms": 1}}
    refresh(dbt, load(utc, [page(0, TEN) | request, page(1, TEN + timedelta(days=1))]))
    untouched = "select built_at from ops.definitions where relation = 'marts.rooms_hourly'"
    built = utc.execute(untouched).fetchone()
    utc.commit()
    project = shutil.copytree(dbt.PROJECT, tmp_path / "project")
    edits = {
        "staging/stg_requests_checked.sql": ("status >= 500", "status >= 400"),
        "marts/content/content_hourly.sql": ("key=['hour', 'category']", "key=['category', 'hour']"),
        "marts/rooms/rooms_hourly.sql": ("select\n", "-- What happened.\nselect\n"),
    }
    for name, (old, new) in edits.items():
        path = project / "models" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt, "PROJECT", project)
        patch.setattr(dbt, "target", lambda: tmp_path)
        refresh(dbt, 1)
    rates = "select distinct value from api.metric_hourly where metric = 'error_rate' and segment = 'all'"
    assert utc.execute(rates).fetchall() == [(1,)]
    assert {row[:4] for row in restated(utc, "error_rate")} == {("hour", 0, 1, "contract"), ("day", 0, 1, "contract")}
    assert restated(utc, "requests") == []
    key = "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'p'"
    assert utc.execute(key, ["marts.content_hourly"]).fetchone() == ("PRIMARY KEY (category, hour)",)
    assert utc.execute(untouched).fetchone() == built


def final(connection: psycopg.Connection, table: str, column: str) -> dict:
    rows = connection.execute(
        f"select {column}, is_final from api.{table} where metric = 'events' and segment = 'all' order by 1"
    ).fetchall()
    connection.rollback()
    return dict(rows)


def test_a_failing_gate_takes_finality_from_what_it_holds_and_from_nothing_else(dbt, settled):
    five = TEN + timedelta(weeks=5)
    assert final(settled, "metric_hourly", "hour") == {TEN: True, five: False}
    held = load(settled, [page(4, TEN - timedelta(days=7))])
    failure = """
        insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results)
        values ('staging.stg_lessons', 'r', %s, %s, 1, 1, '[]')"""
    settled.execute("insert into ops.tidemarks (table_name, load_id) values ('gate:staging.stg_lessons', 1)")
    settled.execute(failure, [held, "failed"])
    settled.commit()
    assert final(settled, "metric_hourly", "hour") == {TEN: True, five: False}  # the load touched another hour
    again = load(settled, [page(5, TEN + timedelta(minutes=30))])
    settled.execute(failure, [again, "failed"])
    settled.commit()
    assert final(settled, "metric_hourly", "hour") == {TEN: False, five: False}
    assert final(settled, "metric_daily", "day") == {TEN.date(): False, five.date(): False}
    week = "select is_final from api.metric_period where metric = 'events' and grain = 'week' and start_date = %s"
    assert settled.execute(week, [WEEK]).fetchone() == (False,)
    settled.execute(failure, [again, "passed"])
    settled.commit()
    assert final(settled, "metric_hourly", "hour") == {TEN: True, five: False}


def test_a_table_made_anew_is_judged_anew(dbt, settled):
    for name in ("marts.metric_hourly", "marts.metric_daily"):
        marks.set_mark(settled, f"gate:{name}", 1)
    settled.execute("update ops.definitions set definition = 'older' where relation = 'marts.metric_daily'")
    settled.commit()
    refresh(dbt, 1)
    assert (marks.mark(settled, "gate:marts.metric_hourly"), marks.mark(settled, "gate:marts.metric_daily")) == (1, 0)


def test_the_figures_of_expired_days_stay(dbt, settled):
    """Their raw events are gone; a rebuild and a changed definition compute the others again, and leave these."""
    query = "select day, value from marts.metric_daily where metric = 'events' and segment = 'all' order by 1"
    before = settled.execute(query).fetchall()
    settled.execute("delete from raw.events where occurred_at < '2026-03-05'")
    settled.execute("insert into ops.expired_days (day) values ('2026-03-04')")
    marks_before = settled.execute("select max(load_id) from raw.loads").fetchone()[0]
    refresh(dbt, loads(settled, "rebuild", TEN, TEN + timedelta(weeks=5)))
    settled.execute("update ops.definitions set definition = 'older' where relation ~ '^(intermediate|marts|views)'")
    settled.commit()
    refresh(dbt, marks_before + 1)
    assert settled.execute(query).fetchall() == before
    assert settled.execute("select count(*) from marts.sessions").fetchone() == (2,)
    assert restated(settled) == []
