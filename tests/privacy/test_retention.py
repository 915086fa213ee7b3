"""Days of raw events expire, go into an archive and come back as they were; the figures made from them never change."""

import hashlib
import io
import json
import threading
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from click.testing import CliRunner

from orchestration.cli import tidemark
from orchestration.errors import TidemarkError
from orchestration.ingest import loader
from orchestration.privacy import archive, retention
from orchestration.warehouse import audit, database, marks, outbox, partitions
from orchestration.warehouse.sealing import opened

OLD = date(2025, 1, 10)
NEWEST = datetime(2025, 7, 20, 12, tzinfo=UTC)


def lesson(name: str, moment: datetime, **changes) -> dict:
    return {
        "event_id": name,
        "event_type": "lesson_completed",
        "occurred_at": moment.isoformat(),
        "user_id": "ü1",
        "session_id": None,
        "properties": {"skill": "grammar", "score": 0.1, "note": 'tab\t "quote" \\N', "price": "1.10"},
    } | changes


def at(day: date, hour: float) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture
def ingest(tmp_path, warehouse):
    def ingest(events: list[dict]):
        path = tmp_path / "events.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        return loader.ingest("native", [path])[0]

    return ingest


@pytest.fixture
def refresh(dbt):
    def refresh():
        with database.connect() as connection:
            (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
        dbt.build("staging marts published", newest)

    return refresh


@pytest.fixture
def ask(warehouse):
    def ask(query: str, *values):
        with database.connect() as connection:
            return connection.execute(query, values or None).fetchall()

    return ask


def store(ingest) -> int:
    """Two old days with events at their edges, and one of today. Returns the newest load."""
    first = [lesson(f"a{n}", at(OLD, 2 * n)) for n in range(12)]
    second = [lesson(f"b{n}", at(OLD, 24 + n), user_id=f"u{n}") for n in range(5)]
    ingest([*first, *second, lesson("page", at(OLD, 3.5), event_type="page_viewed", properties={})])
    return ingest([lesson("new", NEWEST)]).load_id


@pytest.fixture
def stored(ingest):
    """What `store` loads; the tables are taken to be complete."""
    newest = store(ingest)
    with database.connect() as connection:
        marks.set_mark(connection, "marts.metric_daily", newest)


@pytest.fixture
def computed(begin_with, ingest, refresh):
    """The same, with the tables as dbt builds them."""

    def compute() -> None:
        store(ingest)
        refresh()

    begin_with("computed", compute)


def rows(ask) -> list[tuple]:
    return ask("select event_id, events::text from raw.events order by 1")


def figures(ask) -> dict[str, list[tuple]]:
    """The rows of every built table, without what says when they were built."""
    tables = [
        name
        for (name,) in ask(
            """select relation from ops.definitions join pg_class on oid = to_regclass(relation)
               where relkind = 'r' order by 1"""
        )
    ]
    return {
        table: ask(f"select (to_jsonb(t) - array['load_id', 'built_at'])::text from {table} t order by 1")
        for table in tables
    }


def test_what_is_older_than_six_months_is_archived_and_comes_back_exactly(computed, ask, home):
    before, made = rows(ask), figures(ask)
    done = retention.apply()
    assert done.as_of == NEWEST - timedelta(hours=1)
    assert [(day["day"], day["rows"]) for day in done.expired] == [(OLD, 13), (OLD + timedelta(days=1), 5)]
    assert [event for event, _ in rows(ask)] == ["new"]
    assert figures(ask) == made
    assert ask("select count(*) from raw.identities") == [(19,)]  # an event counts once for ever

    for day in (OLD, OLD + timedelta(days=1)):
        retention.restore(day)
    assert rows(ask) == before
    assert figures(ask) == made
    assert ask("select * from ops.expired_days") == []
    with database.connect() as connection:
        assert {OLD, OLD + timedelta(days=1)} <= set(partitions.stored_days(connection))


def test_an_archive_says_what_is_in_it(stored, home):
    retention.apply()
    manifest = json.loads((home / "archive/raw.events" / f"{OLD}.json").read_text())
    path = home / "archive/raw.events" / manifest["file"]
    assert b"PAR1" not in path.read_bytes()  # nobody reads it without the key
    assert manifest["rows"] == 13
    assert manifest["events_by_type"] == {"lesson_completed": 12, "page_viewed": 1}
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"name": "properties", "type": "jsonb"} in manifest["columns"]
    frame = pl.read_parquet(io.BytesIO(opened(path.read_bytes())))
    assert frame.schema["occurred_at"] == pl.Datetime("us", "UTC")
    assert frame["session_id"].null_count() == 13
    assert {entry.suffix for entry in (home / "archive/raw.events").iterdir()} == {".sealed", ".json"}


def test_an_event_for_an_expired_day_waits_in_quarantine_until_the_day_is_restored(computed, ingest, refresh, ask):
    retention.apply()
    made = figures(ask)
    late = [
        lesson("late", at(OLD, 5.5)),
        lesson("beside", at(OLD, 48.2)),  # its hour is computed with the half hour before it
        lesson("between", at(OLD, 80)),  # a day that never had any events
        lesson("a1", at(OLD, 2)),  # known
    ]
    load = ingest(late)
    assert (load.received, load.loaded, load.duplicate, load.quarantined) == (4, 1, 1, 2)
    details = ask("select reason, detail from raw.quarantine order by position")
    assert [reason for reason, _ in details] == ["expired_day", "expired_day"]
    assert "2025-01-10 is complete for good" in details[0][1]
    assert "restore 2025-01-11" in details[1][1]

    retention.restore(OLD)
    retention.restore(OLD + timedelta(days=1))
    ingest(late[:2])
    refresh()
    now = figures(ask)
    added = set(now["intermediate.int_user_hours"]) - set(made["intermediate.int_user_hours"])
    assert len(added) == 3
    retention.apply()
    assert figures(ask) == now
    assert ask("select sum(rows) from ops.expired_days where day < %s", OLD + timedelta(days=2)) == [(19,)]


def test_expired_hours_are_never_computed_again(computed, refresh, ask):
    made = figures(ask)
    retention.apply()
    with database.connect() as connection:
        marks.touch_hours(connection, at(OLD, -48), at(OLD, 72))
    refresh()
    assert figures(ask) == made


def test_a_changed_table_keeps_the_rows_whose_events_are_gone(computed, refresh, ask):
    made = figures(ask)
    retention.apply()
    with database.connect() as connection:
        connection.execute("update ops.definitions set definition = 'older' where relation like '%.metric%'")
        connection.execute("update ops.definitions set definition = 'older' where relation like '%hour%'")
    refresh()
    assert figures(ask) == made


def test_a_day_that_is_not_yet_computed_waits(computed, ingest, refresh, ask):
    ingest([lesson("late", at(OLD, 5.5))])
    done = retention.apply()
    assert done.expired == []
    assert set(done.waiting) == {OLD, OLD + timedelta(days=1)}
    assert "refresh first" in done.waiting[OLD]
    refresh()
    assert [day["rows"] for day in retention.apply().expired] == [14, 5]


def test_a_killed_application_is_finished_by_the_next(stored, ask, monkeypatch):
    def killed(connection, day):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(partitions, "drop", killed)
        retention.apply()
    assert ask("select day, rows from ops.expired_days") == [(OLD, 13)]  # and its partition is still there
    assert ask("select count(*) from raw.events") == [(19,)]
    assert [day["day"] for day in retention.apply().expired] == [OLD + timedelta(days=1)]
    assert ask("select count(*) from raw.events") == [(1,)]


def test_dropped_without_an_archive_cannot_be_restored(stored, home, tmp_path, monkeypatch, ask):
    from orchestration import settings

    kept = settings.Retention.model_validate({"tables": {"raw.events": {"keep": "P1M", "then": "drop"}}, "runs": "P1D"})
    monkeypatch.setattr(retention, "retention", lambda: kept)
    assert [day["archive"] for day in retention.apply().expired] == [None, None]
    assert not (home / "archive").exists()
    with pytest.raises(TidemarkError, match="dropped, not archived"):
        retention.restore(OLD)


def test_a_damaged_archive_is_refused(stored, home, ask):
    retention.apply()
    path = home / "archive/raw.events" / f"{OLD}.parquet.sealed"
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    with pytest.raises(TidemarkError, match="not the file that its manifest describes"):
        retention.restore(OLD)
    path.write_bytes(content)
    manifest = json.loads(archive.manifest_of(path).read_text())
    archive.manifest_of(path).write_text(json.dumps(manifest | {"digest": "1"}))
    with pytest.raises(TidemarkError, match="its digest came out otherwise"):
        retention.restore(OLD)
    assert ask("select count(*) from raw.events") == [(1,)]
    with pytest.raises(TidemarkError, match="has not expired"):
        retention.restore(date(2025, 5, 5))


def test_days_are_made_ahead_and_empty_ones_go(stored, ask):
    assert retention.apply().days_ahead == retention.DAYS_AHEAD
    assert retention.apply().days_ahead == 0
    with database.connect() as connection:
        partitions.ensure(connection, [date(2024, 12, 5)])
    retention.apply()
    with database.connect() as connection:
        days = partitions.stored_days(connection)
    assert days == [NEWEST.date() + timedelta(days=number) for number in range(8)]


def test_readers_do_not_wait_while_days_go(stored, ask):
    with database.connect() as reader:
        reader.execute("select count(*) from raw.events").fetchone()  # its transaction stays open
        application = threading.Thread(target=retention.apply)
        application.start()
        try:
            application.join(3)
            with database.connect() as another:
                another.execute("set statement_timeout = '2s'")
                another.execute("select count(*) from raw.events").fetchone()
        finally:
            reader.rollback()
            application.join(30)
    assert not application.is_alive()
    assert ask("select count(*) from raw.events") == [(1,)]


def test_the_command_line_lists_and_restores(stored, warehouse):
    def run(*arguments):
        result = CliRunner().invoke(tidemark, ["retention", *arguments, "--json"])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    assert [day["day"] for day in run("apply")["expired"]] == ["2025-01-10", "2025-01-11"]
    assert [day["rows"] for day in run("list")["expired"]] == [13, 5]
    assert run("restore", "2025-01-10")["rows"] == 13
    assert [day["day"] for day in run("list")["expired"]] == ["2025-01-11"]
    assert CliRunner().invoke(tidemark, ["retention", "list"]).exit_code == 0
    assert CliRunner().invoke(tidemark, ["retention", "restore", "2025-01-10"]).exit_code == 1


def test_old_records_of_runs_are_removed(warehouse, tmp_path):
    import dagster as dg

    from orchestration.privacy.jobs import delete_runs

    @dg.op
    def rest():
        pass

    @dg.job(executor_def=dg.in_process_executor)
    def nothing():
        rest()

    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        old = nothing.execute_in_process(instance=instance).run_id
        middle = datetime.now(UTC) + timedelta(seconds=1)
        assert delete_runs(instance, datetime.now(UTC) - timedelta(days=1)) == 0
        assert delete_runs(instance, middle) == 1
        assert instance.get_run_by_id(old) is None
        assert instance.all_logs(old) == []


def test_types_tables_and_archives_have_times_of_their_own(stored, ingest, ask, home, monkeypatch):
    """Page views go after a month, archives after five; a record of the future goes by when it came."""
    from orchestration import settings

    kept = settings.Retention.model_validate(
        {
            "tables": {
                "raw.events": {"keep": "P6M", "then": "archive", "archives": "P1Y"},
                "raw.quarantine": {"keep": "P1M"},
                "ops.outbox": {"keep": "P1M"},
            },
            "event_types": {"page_viewed": "P1M"},
            "runs": "P1D",
        }
    )
    monkeypatch.setattr(retention, "retention", lambda: kept)
    page = lesson("page2", NEWEST - timedelta(days=60), event_type="page_viewed", properties={})
    newest = ingest(
        [page, lesson("beside", NEWEST - timedelta(days=60)), lesson("ahead", NEWEST + timedelta(days=9000))]
    )
    assert newest.quarantined == 1
    with database.connect() as connection:
        marks.set_mark(connection, "marts.metric_daily", newest.load_id)
        message = outbox.EmailMessage()
        message["To"], message["Subject"] = "a@example.com", "x"
        outbox.enqueue(connection, message, topic="x", key="x")
        connection.execute("update raw.loads set committed_at = now() - interval '40 days'")
        connection.execute("update ops.outbox set status = 'sent', sent_at = now() - interval '40 days'")
    done = retention.apply()
    day = (NEWEST - timedelta(days=60)).date()
    assert done.types == {"page_viewed": 2}
    assert done.rows == {"raw.quarantine": 1, "ops.outbox": 1}
    assert ask("select event_id from raw.events order by 1") == [("beside",), ("new",)]
    assert ask("select day, is_whole, event_types from ops.expired_days where not is_whole") == [
        (day, False, ["page_viewed"])
    ]
    assert ask("select count(*) from ops.frozen_days where expired_day = %s", day) != [(0,)]
    assert len(archive.archives()) == 2 and done.archives == []

    ingest([lesson("newer", NEWEST + timedelta(days=400))])
    with database.connect() as connection:
        marks.set_mark(connection, "marts.metric_daily", newest.load_id + 1)
    assert len(retention.apply().archives) == 2
    left = {json.loads(archive.manifest_of(path).read_text())["day"] for path in archive.archives()}
    assert str(OLD) not in left
    with database.connect() as connection:
        told = {
            subject for (subject,) in connection.execute("select subject from ops.audit where action = 'retention'")
        }
        assert {f"raw.events of {OLD}", "raw.events: page_viewed", "raw.quarantine", "ops.outbox"} <= told
        assert audit.verify(connection) > 0
