"""What `config/retention.yml` says is done here: what is past its time is archived or goes; days can come back."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import psycopg
from psycopg import sql

from orchestration.errors import TidemarkError
from orchestration.privacy import archive
from orchestration.settings import Kept, retention, settings
from orchestration.warehouse import audit, database, marks, partitions

DAYS_AHEAD = 7
_RETENTION_LOCK = 7_461_004
BEHIND = "the tables do not stand at its newest load yet: refresh first"


@dataclass
class Applied:
    """What one application did. Days are those of UTC, as the partitions of `raw.events` are."""

    as_of: datetime | None  # the newest complete event time; none before there is one
    expired: list[dict] = field(default_factory=list)  # day, rows, archive
    waiting: dict[date, str] = field(default_factory=dict)  # why a day that is due was left
    days_ahead: int = 0  # partitions made before their events come
    minutes: int = 0  # rows of raw.touched_minutes removed
    types: dict[str, int] = field(default_factory=dict)  # events that went before their days, by event type
    archives: list[str] = field(default_factory=list)  # whose own time was over
    rows: dict[str, int] = field(default_factory=dict)  # removed from other tables


def apply() -> Applied:
    """Let go what is past its time, make the partitions of the days to come, bring statistics up to date.

    Each day is archived from one snapshot, then marked as expired, then detached without making readers wait; killed in
    between, the next application goes on. Raises TidemarkError when another one is under way.
    """
    with database.connect("eraser", autocommit=True) as connection:
        alone(connection)
        for (day,) in connection.execute("select day from ops.expired_days where is_whole").fetchall():
            partitions.drop(connection, day)  # what a killed application left
        as_of = _as_of(connection)
        done = Applied(as_of, rows=_drop_rows(connection))
        if as_of is None:
            return done
        kept = retention().tables.raw_events
        for event_type, period in retention().event_types.items():
            _expire_type(connection, event_type, _due(connection, as_of, period), done)
        done.archives = _delete_archives(connection, as_of, kept)
        for day in _due(connection, as_of, kept.keep):
            if reason := _expire(connection, day, kept, done):
                done.waiting[day] = reason
        done.days_ahead = _make_days_ahead(connection)
        done.minutes = _forget_minutes(connection)
        connection.execute("analyze raw.events")
        _tell(connection, done)
    return done


def restore(day: date) -> dict:
    """Put the rows of an expired day back, exactly as they were; return the manifest of its archive.

    The day takes events again, until the next application archives it with them. Raises TidemarkError when the day did
    not expire, was not archived, or its archive is damaged.
    """
    with database.connect("eraser", autocommit=True) as connection:
        alone(connection)
        query = "select archive from ops.expired_days where day = %s and is_whole"
        found = connection.execute(query, [day]).fetchone()
        if found is None:
            raise TidemarkError(
                f"{day} has not expired, so there is nothing to restore: see `tidemark retention list`."
            )
        if found[0] is None:
            raise TidemarkError(f"The events of {day} were dropped, not archived: they cannot be restored.")
        partitions.drop(connection, day)
        table = f"raw.{partitions.name_of(day)}"
        with connection.transaction():
            connection.execute(f"create table {table} (like raw.events including all)")
            manifest = archive.read(connection, settings().home.resolve() / found[0], table)
            connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
            partitions.attach(connection, day)
            connection.execute("delete from ops.expired_days where day = %s", [day])
        connection.execute(f"analyze {table}")
    return manifest


def listed() -> dict:
    """What is kept and what expired: keep, then, as_of, first_day and last_day stored, and the expired days.

    `expired` has a dictionary for each day: day, rows, archive, expired_at.
    """
    kept = retention().tables.raw_events
    with database.connect("eraser") as connection:
        stored, as_of = partitions.stored_days(connection), _as_of(connection)
    with database.connect("eraser", rows=True) as connection:
        query = "select day, rows, archive, expired_at from ops.expired_days order by day"
        expired = connection.execute(query).fetchall()
    return {
        "keep": kept.keep,
        "then": kept.then,
        "as_of": as_of,
        "first_day": min(stored, default=None),
        "last_day": max(stored, default=None),
        "expired": expired,
    }


def alone(connection: psycopg.Connection) -> None:
    """Hold the right to change what is stored of expired days until the connection ends. Raises TidemarkError."""
    if not connection.execute("select pg_try_advisory_lock(%s)", [_RETENTION_LOCK]).fetchone()[0]:
        raise TidemarkError("Retention, or an erasure, is under way already: try again when it is done.")


def _as_of(connection: psycopg.Connection) -> datetime | None:
    """The newest complete event time: what periods are counted back from."""
    return connection.execute("select ops.final_before(max(load_id)) from raw.loads").fetchone()[0]


def _due(connection: psycopg.Connection, as_of: datetime, period: str) -> list[date]:
    """The stored days that ended before the period that is kept."""
    first_kept = _first_kept(connection, as_of, period)
    return [day for day in partitions.stored_days(connection) if day < first_kept]


def _first_kept(connection: psycopg.Connection, as_of: datetime, period: str) -> date:
    query = "select ((%s::timestamptz - %s::interval) at time zone 'UTC')::date"
    return connection.execute(query, [as_of, period]).fetchone()[0]


def _expire_type(connection: psycopg.Connection, event_type: str, days: list[date], done: Applied) -> None:
    """Remove the events of a type from days that stay otherwise. Such a day is frozen: it could be computed only in
    part."""
    query = "select day from ops.expired_days where is_whole or %s = any(event_types)"
    gone = {day for (day,) in connection.execute(query, [event_type]).fetchall()}
    for day in (day for day in days if day not in gone):
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
            if _touched_after(connection, day, _complete_up_to(connection)):
                done.waiting[day] = BEHIND
                continue
            partition = sql.Identifier("raw", partitions.name_of(day))
            query = sql.SQL("delete from {} where event_type = %s").format(partition)
            rows = connection.execute(query, [event_type]).rowcount
            if rows:
                done.types[event_type] = done.types.get(event_type, 0) + rows
                connection.execute(
                    """insert into ops.expired_days (day, rows, is_whole, event_types) values (%s, %s, false, array[%s])
                       on conflict (day) do update
                       set rows = expired_days.rows + excluded.rows,
                           event_types = expired_days.event_types || excluded.event_types""",
                    [day, rows, event_type],
                )


def _delete_archives(connection: psycopg.Connection, as_of: datetime, kept: Kept) -> list[str]:
    """Delete the archives whose own time is over, with their manifests; return their paths."""
    if kept.archives is None:
        return []
    query = "select archive from ops.expired_days where day < %s and archive is not null order by day"
    due = [path for (path,) in connection.execute(query, [_first_kept(connection, as_of, kept.archives)]).fetchall()]
    for place in due:
        path = settings().home.resolve() / place
        path.unlink(missing_ok=True)
        archive.manifest_of(path).unlink(missing_ok=True)
        connection.execute("update ops.expired_days set archive = null where archive = %s", [place])
    return due


def _drop_rows(connection: psycopg.Connection) -> dict[str, int]:
    """Remove the rows of other tables whose time is over by the clock: a record's own time may be any."""
    tables, rows = retention().tables, {}
    if tables.raw_quarantine:
        rows["raw.quarantine"] = connection.execute(
            """delete from raw.quarantine using raw.loads
               where loads.load_id = quarantine.load_id and committed_at < now() - %s::interval""",
            [tables.raw_quarantine.keep],
        ).rowcount
    if tables.ops_outbox:
        rows["ops.outbox"] = connection.execute(
            "delete from ops.outbox where status <> 'pending' and coalesce(sent_at, created_at) < now() - %s::interval",
            [tables.ops_outbox.keep],
        ).rowcount
    return {table: number for table, number in rows.items() if number}


def _tell(connection: psycopg.Connection, done: Applied) -> None:
    """Write into the audit what was removed."""
    for day in done.expired:
        audit.record(connection, "retention", f"raw.events of {day['day']}", rows=day["rows"], archive=day["archive"])
    for event_type, rows in done.types.items():
        audit.record(connection, "retention", f"raw.events: {event_type}", rows=rows)
    for path in done.archives:
        audit.record(connection, "retention", path)
    for table, rows in done.rows.items():
        audit.record(connection, "retention", table, rows=rows)


def _expire(connection: psycopg.Connection, day: date, kept: Kept, done: Applied) -> str | None:
    """Archive and let go one day, or return the reason why it has to wait."""
    table, path = f"raw.{partitions.name_of(day)}", None
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        seen = connection.execute("select coalesce(max(load_id), 0) from raw.loads").fetchone()[0]
        if _touched_after(connection, day, _complete_up_to(connection)):
            return BEHIND
        rows = connection.execute(f"select count(*) from {table}").fetchone()[0]
        if rows and kept.then == "archive":
            archive.write(connection, table, day)
            path = str(archive.path_of(day).relative_to(settings().home.resolve()))
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        if _touched_after(connection, day, seen):
            return "events of it arrived while it was archived"
        if rows == 0:  # made ahead of events that never came: late ones may still
            return partitions.drop_empty(connection, day)
        connection.execute(
            """insert into ops.expired_days (day, archive, rows) values (%s, %s, %s)
               on conflict (day) do update
               set archive = excluded.archive, rows = expired_days.rows + excluded.rows, is_whole = true""",
            [day, path, rows],
        )
    partitions.drop(connection, day)
    done.expired.append({"day": day, "rows": rows, "archive": path})
    return None


def _complete_up_to(connection: psycopg.Connection) -> int:
    """The load up to which every table that is made from raw events is complete."""
    query = """
        select coalesce(min(load_id), 0) from ops.tidemarks
        where table_name like 'intermediate.%' or table_name like 'marts.%'"""
    return connection.execute(query).fetchone()[0]


def _touched_after(connection: psycopg.Connection, day: date, load_id: int) -> bool:
    """Whether a later load touched a day, or the days beside it that are computed with it."""
    begin = datetime.fromisoformat(f"{day}T00:00+00:00")
    query = "select exists (select from raw.touched_hours where load_id > %s and hour >= %s and hour < %s)"
    span = [begin - timedelta(days=1), begin + timedelta(days=2)]
    return connection.execute(query, [load_id, *span]).fetchone()[0]


def _make_days_ahead(connection: psycopg.Connection) -> int:
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        query = "select (max(newest_at) at time zone 'UTC')::date from raw.loads"
        newest = connection.execute(query).fetchone()[0]
        days = {newest + timedelta(days=number) for number in range(1, DAYS_AHEAD + 1)}
        new = days - set(partitions.stored_days(connection))
        partitions.ensure(connection, new)
    return len(new)


def _forget_minutes(connection: psycopg.Connection) -> int:
    """Minutes older than two days before the newest event have no buckets any more."""
    return connection.execute(
        """delete from raw.touched_minutes
           where minute < (select max(newest_at) from raw.loads) - interval '2 days'"""
    ).rowcount
