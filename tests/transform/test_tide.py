"""The tide mark materialization: whatever the order in which events come, the tables are those of one clean build."""

import itertools
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from orchestration.warehouse import database, marks
from tests.transform.events import load, random_events

START = datetime(2026, 3, 1, tzinfo=UTC)
PROGRAM = """
import pathlib
from orchestration.transform import project
project.target = lambda: pathlib.Path({0!r})
project.build('staging marts published', {1})
"""


def refresh(dbt, high_mark: int) -> None:
    dbt.build("staging marts published", high_mark)


def contents(connection: psycopg.Connection) -> dict[str, str]:
    """A checksum of each built table's rows, without the load that wrote them."""
    tables = connection.execute(
        "select relation from ops.definitions join pg_class on oid = to_regclass(relation) "
        "where relkind = 'r' order by 1"
    ).fetchall()
    return {
        table: connection.execute(
            f"select count(*) || ' ' || coalesce(md5(string_agg(line, ',' order by line)), '') "
            f"from (select (to_jsonb(t) - 'load_id')::text as line from {table} as t) as lines"
        ).fetchone()[0]
        for (table,) in tables
    }


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (1, 2))])
def test_any_order_delay_and_duplication_gives_the_tables_of_one_clean_build(dbt, connection, seed):
    rng = random.Random(seed)
    events = random_events(rng, 150)
    arrivals = events + rng.choices(events, k=30)
    rng.shuffle(arrivals)
    cuts = sorted(rng.sample(range(1, len(arrivals)), 3))
    for begin, end in itertools.pairwise([0, *cuts, len(arrivals)]):
        refresh(dbt, load(connection, arrivals[begin:end]))
    stepwise = contents(connection)

    connection.execute("delete from ops.definitions")  # has every table made anew
    connection.commit()
    refresh(dbt, 4)
    assert contents(connection) == stepwise
    assert len(stepwise) >= 15
    assert [table for table, rows in stepwise.items() if rows.startswith("0 ")] == []


def test_a_load_beyond_the_high_mark_is_not_seen(dbt, connection):
    events = random_events(random.Random(8), 60)
    load(connection, events[:30])
    dbt.build("staging marts published", 1)
    before = contents(connection)
    load(connection, events[30:])
    connection.execute("delete from ops.definitions where relation like 'marts.%'")
    connection.commit()
    dbt.build("staging marts published", 1)
    assert contents(connection) == before


def test_only_touched_hours_are_written_again(dbt, connection):
    def row_versions():
        return dict(connection.execute("select hour::text, xmin::text from marts.learning_hourly").fetchall())

    def lesson(number, hour):
        return {
            "event_id": f"e{number}", "event_type": "lesson_completed", "occurred_at": START + timedelta(hours=hour),
            "user_id": "u", "properties": {"skill": "a", "score": 50},
        }  # fmt: skip

    refresh(dbt, load(connection, [lesson(hour, hour) for hour in range(10)]))
    before = row_versions()
    connection.rollback()
    refresh(dbt, load(connection, [lesson(99, 4)]))
    after = row_versions()
    changed = {hour for hour in after if after[hour] != before[hour]}
    assert changed == {(START + timedelta(hours=4)).isoformat(sep=" ")[:19] + "+00"}


def test_hours_whose_events_vanished_vanish(dbt, connection):
    events = random_events(random.Random(7), 60)
    refresh(dbt, load(connection, events))
    gone = {event["event_id"] for event in events if event["user_id"] == "u1"}
    connection.execute("delete from raw.events where user_id = 'u1'")
    connection.execute("insert into raw.loads values (2, 'erasure', 'u1', '', 0, 0, 0, 0, 0, null, now())")
    for event in events:
        if event["event_id"] in gone:
            connection.execute(
                "insert into raw.touched_hours values (2, ops.hour_of(%s, ops.timezone())) on conflict do nothing",
                [event["occurred_at"]],
            )
    connection.commit()
    refresh(dbt, 2)
    left = contents(connection)
    connection.execute("delete from ops.definitions")
    connection.commit()
    refresh(dbt, 2)
    assert contents(connection) == left
    assert connection.execute("select count(*) from marts.user_daily where user_id = 'u1'").fetchone() == (0,)


def test_an_hour_is_final_when_every_live_source_has_passed_it_by_its_lateness(dbt, connection):
    def page(number, at):
        return {
            "event_id": f"e{number}",
            "event_type": "page_viewed",
            "occurred_at": at,
            "user_id": "u",
            "properties": {},
        }

    def final_hours():
        rows = connection.execute(
            "select hour, is_final from api.metric_hourly where metric = 'events' and segment = 'all' order by 1"
        ).fetchall()
        connection.rollback()
        return {hour.hour: is_final for hour, is_final in rows}

    refresh(
        dbt, load(connection, [page(1, START + timedelta(hours=1)), page(2, START + timedelta(hours=2, minutes=59))])
    )
    # passed by 2:59 less an hour: 1:59
    assert final_hours() == {1: False, 2: False}
    refresh(dbt, load(connection, [page(3, START + timedelta(hours=4, minutes=30))]))
    # 3:30: the hours 1 and 2 are over by then, though no event of theirs came
    assert final_hours() == {1: True, 2: True, 4: False}


def test_a_changed_select_is_applied_to_all_rows(dbt, connection):
    refresh(dbt, load(connection, random_events(random.Random(3), 40)))
    before = contents(connection)
    connection.execute("update ops.definitions set definition = 'older' where relation = 'marts.metric_daily'")
    connection.execute("update marts.metric_daily set value = value + 1")
    connection.commit()
    refresh(dbt, 1)
    assert contents(connection) == before


def test_a_rebuild_beside_a_refresh_gives_the_same_tables(dbt, connection, parsed_project):
    """Two processes at once: one builds what has just arrived, the other everything again and what came since."""
    events = random_events(random.Random(5), 120)
    refresh(dbt, load(connection, events[:60]))
    load(connection, events[60:90])
    first, last = connection.execute("select min(occurred_at), max(occurred_at) from raw.events").fetchone()
    connection.execute("select setval('raw.load_ids', 2)")
    marks.touch_hours(connection, first, last + timedelta(hours=1))
    connection.commit()
    load(connection, events[90:])
    runs = [subprocess.Popen([sys.executable, "-c", PROGRAM.format(str(parsed_project), mark)]) for mark in (2, 4, 4)]
    assert [run.wait(300) for run in runs] == [0, 0, 0]
    twice = contents(connection)
    connection.execute("delete from ops.definitions")
    connection.commit()
    refresh(dbt, 4)
    assert contents(connection) == twice


def test_a_touched_hour_reads_no_other_partition(dbt, connection):
    """Counted by PostgreSQL itself, over all models: the scans of each day's partition."""
    connection.execute("drop table raw.events_all")
    events = random_events(random.Random(6), 400)[1:]
    days = {event["occurred_at"].date() for event in events}
    for day in days:
        connection.execute(
            f"create table raw.events_{day:%Y%m%d} partition of raw.events "
            f"for values from ('{day} 00:00Z') to (timestamptz '{day} 00:00Z' + interval '1 day')"
        )
    refresh(dbt, load(connection, events))
    scans = """select relname, sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)) from pg_stat_user_tables
               where relname like 'events\\_2%' group by 1"""

    def scanned() -> dict:
        others = """select count(*) from pg_stat_activity
                    where backend_type = 'client backend' and pid <> pg_backend_pid()
                      and datname = current_database()"""
        while connection.execute(others).fetchone() != (0,):  # a session reports what it did when it ends
            connection.rollback()
            time.sleep(0.05)
        connection.execute("select pg_stat_force_next_flush()")
        connection.commit()
        connection.execute("select pg_stat_clear_snapshot()")
        found = dict(connection.execute(scans).fetchall())
        connection.rollback()
        return found

    hour = datetime(2026, 3, 29, 12, tzinfo=UTC)
    late = load(connection, [events[0] | {"event_id": "late", "occurred_at": hour}])
    before = scanned()
    refresh(dbt, late)
    after = scanned()
    assert {name for name in after if after[name] != before[name]} == {"events_20260329"}
    assert len(after) >= 3


def test_materialized_views_are_refreshed_only_when_something_moved(dbt, connection):
    def version(name: str) -> tuple:
        row = connection.execute(
            "select moved_id, load_id from ops.tidemarks where table_name = %s", [f"views.{name}"]
        ).fetchone()
        connection.rollback()
        return row

    events = random_events(random.Random(9), 60)
    refresh(dbt, load(connection, events[:50]))
    assert version("top_content") == version("basket_companions") == (1, 1)
    refresh(dbt, load(connection, []))
    assert version("top_content") == version("basket_companions") == (1, 2)
    newest = max(event["occurred_at"] for event in events)
    refresh(dbt, load(connection, [events[50] | {"occurred_at": newest + timedelta(minutes=1)}]))
    assert (version("top_content"), version("basket_companions")) == ((3, 3), (1, 3))


def test_replaced_views_of_which_one_reads_the_other_go_one_after_the_other(dbt, connection):
    connection.execute("update ops.definitions set definition = 'older' where relation ~ '^(views.content|api.)'")
    connection.commit()
    left = []
    for _ in range(3):
        dbt.run(["run", "--select", "views_content+"], high_mark=0)
        left.append(connection.execute("select count(*) from pg_matviews where matviewname ~ '__old$'").fetchone()[0])
        connection.rollback()
    assert left == [2, 1, 0]


def test_tables_that_people_read_by_name_are_there(dbt, connection):
    refresh(dbt, 0)
    dbt.build("predictions", 0)
    with database.connect() as reader:
        for table in ("metric_hourly", "metric_daily", "metrics", "executive_summary", "forecasts", "anomalies"):
            reader.execute(f"select * from api.{table}")


def lesson_of(user: str, number: int, hour: int, **properties) -> dict:
    return {
        "event_id": f"{user}-{number}", "event_type": "lesson_completed", "occurred_at": START + timedelta(hours=hour),
        "user_id": user, "properties": {"skill": "a", "score": 50} | properties,
    }  # fmt: skip


def test_a_table_by_person_is_written_for_those_who_changed_and_no_others(dbt, connection):
    def versions():
        rows = connection.execute("select user_id, activities, xmin::text from marts.learners").fetchall()
        connection.rollback()
        return {user: (activities, version) for user, activities, version in rows}

    def add(*events) -> None:
        number = load(connection, list(events))
        refresh(dbt, number)

    add(*(lesson_of(user, 0, hour) for hour, user in enumerate("uvw")))
    before = versions()
    add(lesson_of("v", 1, 9), lesson_of("x", 0, 9))
    after = versions()
    assert {user for user in after if after[user] != before.get(user)} == {"v", "x"}
    assert {user: activities for user, (activities, _) in after.items()} == {"u": 1, "v": 2, "w": 1, "x": 1}
    connection.execute("delete from raw.events where user_id = 'v'")
    connection.commit()
    connection.execute("select setval('raw.load_ids', 2)")
    marks.touch_hours(connection, START, START + timedelta(hours=10))
    connection.commit()
    refresh(dbt, 3)
    assert {user: row for user, row in after.items() if user != "v"} == versions()
    assert connection.execute("select user_id from views.learners order by 1").fetchall() == [("u",), ("w",), ("x",)]


def test_what_a_gate_held_is_published_by_person_once_it_passes(dbt, connection):
    def published() -> list[tuple]:
        rows = connection.execute("select user_id, activities from views.learners order by 1").fetchall()
        connection.rollback()
        return rows

    dbt.build("staging marts published", load(connection, [lesson_of("u", 0, 1)]))
    dbt.build("staging marts", load(connection, [lesson_of("u", 1, 2)]))  # and the gate fails
    assert published() == [("u", 1)]
    dbt.build("staging marts", load(connection, [lesson_of("v", 0, 3)]))
    dbt.build("published", 3)
    assert published() == [("u", 2), ("v", 1)]
    assert connection.execute("select count(*) from ops.changed_entities").fetchone() == (0,)
