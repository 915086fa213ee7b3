"""The fast lane over a real database: what arrives is published at once, unless its gate holds it back."""

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import pytest

from orchestration import fast, summary
from orchestration.warehouse import database

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def lane(dbt, tmp_path, monkeypatch):
    """A fast source of files, and the staging views."""
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text(
        "sources: {live: {path: inbox/live, every: PT5S}, slow: {path: inbox/slow, every: PT5M}, given: {}}"
    )
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    dbt.build("staging", 0)
    return tmp_path


@pytest.fixture
def arrive(lane, home):
    """Write events into the watched folder, as if some time ago."""
    files = iter(range(100))

    def arrive(*events: dict) -> None:
        path = home / "inbox" / "live" / f"{next(files)}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(json.dumps, events)))
        os.utime(path, (0, 0))

    return arrive


def score(number: int, value: float) -> dict:
    moment = (NOW + timedelta(seconds=number)).isoformat()
    return {"event_id": f"e{number}", "event_type": "lesson_completed", "occurred_at": moment, "user_id": "u1",
            "received_at": moment, "properties": {"skill": "a", "score": value}}  # fmt: skip


def round_of(say=lambda sentence: None) -> list[str]:
    assert fast.take_in("live") == ""
    with database.connect(autocommit=True) as connection:
        return fast.build(connection)


def published(metric: str = "lessons_completed"):
    with database.connect() as connection:
        query = "select coalesce(sum(value), 0) from api.metric_minutes where metric = %s and segment = 'all'"
        return connection.execute(query, [metric]).fetchone()[0]


def stamps() -> list[dict]:
    with database.connect(rows=True) as connection:
        return connection.execute("select * from ops.load_stamps order by load_id").fetchall()


def test_only_sources_read_more_often_than_once_a_minute_are_in_the_lane(lane):
    assert fast.fast_sources() == {"live": 5}


def test_what_arrives_is_published_and_stamped(arrive):
    arrive(score(1, 50))
    assert round_of() == []
    assert published() == 1
    assert stamps() == []  # what was there before the lane was is no news
    arrive(score(2, 60), score(3, 70))
    assert round_of() == []
    assert (published(), published("average_score")) == (3, 60)
    (stamp,) = stamps()
    assert (stamp["events"], stamp["received_at"]) == (2, NOW + timedelta(seconds=2))
    assert stamp["loaded_at"] < stamp["aggregated_at"] < stamp["visible_at"]
    with database.connect(rows=True) as connection:
        freshness = summary.freshness(connection)
    assert freshness["loads"] == 1 and freshness["held"] is None
    assert freshness["loaded"]["p50"] == freshness["loaded"]["p99"] < freshness["visible"]["p99"]


def test_minutes_that_the_gate_would_fail_are_counted_and_not_published(arrive):
    arrive(score(1, 50))
    round_of()
    arrive(*(score(10 + number, 500 if number < 6 else 50) for number in range(25)))
    (sentence,) = round_of()
    assert sentence == (
        "staging.stg_lessons: 23.1 % of the 26 lessons of 2026-03-01 cannot be true and are held (allowed: 20 %)"
    )
    assert published() == 1
    (stamp,) = stamps()
    assert stamp["aggregated_at"] and stamp["visible_at"] is None
    with database.connect(rows=True) as connection:
        assert summary.freshness(connection)["held"] == sentence
    # The full gate, which judges whole days, has passed them since.
    with database.connect() as connection:
        connection.execute("insert into ops.tidemarks (table_name, load_id) values ('gate:staging.stg_lessons', 2)")
    assert round_of() == []
    assert published() == 20
    (stamp,) = stamps()
    assert stamp["visible_at"] is not None


def test_a_full_gate_that_fails_in_staging_holds_the_lane(arrive):
    arrive(score(1, 50))
    round_of()
    with database.connect() as connection:
        connection.execute(
            """insert into ops.gate_results
                   (table_name, run_id, load_id, status, hours_checked, rows_checked, results)
               values ('staging.stg_events', 'r', 1, 'failed', 1, 1,
                       '[{"severity": "error", "success": false, "says": "they are wrong"}]')"""
        )
    arrive(score(2, 60))
    assert round_of() == ["staging.stg_events: they are wrong"]
    assert published() == 1


def test_one_run_at_a_time_and_the_next_one_has_the_lane_as_soon_as_the_round_is_over(arrive, monkeypatch):
    monkeypatch.setattr(fast, "build", lambda connection: [])
    entered, order = threading.Event(), []

    def first_is_over(connection) -> bool:
        entered.set()
        order.append("first")
        return fast._is_awaited(connection)

    def second_is_over(connection) -> bool:
        order.append("second")
        return True

    monkeypatch.setattr(fast, "fast_sources", lambda: {"live": 0.2})
    first = threading.Thread(target=fast.run, args=(print, first_is_over))
    second = threading.Thread(target=fast.run, args=(print, second_is_over))
    first.start()
    assert entered.wait(60)
    second.start()
    first.join(60)
    second.join(60)
    assert not first.is_alive() and not second.is_alive()
    assert order == ["first"] * (len(order) - 1) + ["second"]


def test_what_cannot_be_read_is_told_once_and_again_when_it_is_mended(lane, monkeypatch):
    answers = iter(["no answer", "no answer", "", ""])
    monkeypatch.setattr(fast, "take_in", lambda name: next(answers))
    monkeypatch.setattr(fast, "build", lambda connection: [])
    monkeypatch.setattr(fast, "fast_sources", lambda: {"live": 0.01})
    told, rounds = [], iter([False] * 4 + [True])
    fast.run(told.append, lambda connection: next(rounds))
    assert told == ["live: no answer", "live: in order again"]


@pytest.mark.parametrize(
    ("age", "is_finished", "is_due"),
    [
        (timedelta(seconds=30), False, False),
        (timedelta(seconds=30), True, False),
        (timedelta(minutes=2), True, True),
        (timedelta(minutes=9), False, False),
        (timedelta(minutes=11), False, True),
    ],
)
def test_a_run_is_due_after_ten_minutes_or_a_minute_after_one_that_ended(age, is_finished, is_due):
    newest = SimpleNamespace(create_timestamp=NOW - age, dagster_run=SimpleNamespace(is_finished=is_finished))
    assert fast.is_due(newest, NOW) is is_due


def test_a_run_tells_dagster_of_every_table_in_the_end(warehouse, monkeypatch):
    monkeypatch.setattr(fast, "run", lambda say, is_over: None)
    result = dg.materialize([fast.fast_lane], instance=dg.DagsterInstance.ephemeral())
    told = [event.asset_key for event in result.get_asset_materialization_events()]
    assert (
        set(told)
        == set(fast.fast_lane.keys)
        >= {dg.AssetKey(["api", "windows"]), dg.AssetKey(["api", "metric_minutes"])}
    )


def test_the_sensor_asks_for_nothing_without_fast_sources(lane):
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance)
        assert isinstance(fast.fast_lane_runs(context), dg.RunRequest)
        (lane / "sources.yml").write_text("sources: {given: {}}")
        assert isinstance(fast.fast_lane_runs(context), dg.SkipReason)


def test_old_touched_minutes_and_stamps_leave(arrive):
    arrive(score(1, 50))
    round_of()
    arrive(score(3 * 86_400, 50))
    round_of()
    with database.connect() as connection:
        fast.forget_old(connection)
        assert connection.execute("select count(*) from raw.touched_minutes").fetchone() == (1,)
        assert connection.execute("select count(distinct minute) from marts.metric_minutes").fetchone() == (1,)
