"""An arrival becomes a load: events, quarantine, touched hours, cursor and ledger row in one transaction."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError
from orchestration.ingest import sources, undeclared
from orchestration.ingest.contract import EPOCH, BrokenFile
from orchestration.ingest.dialects import READERS
from orchestration.ingest.fields import record as record_fields
from orchestration.ingest.schemas import judge
from orchestration.ingest.sources.arrival import Arrival, SourceFailure
from orchestration.ingest.writer import Origin, Uuids, UuidsDumper, Writer, prepare
from orchestration.settings import Source
from orchestration.warehouse import database, marks
from orchestration.warehouse.names import HashedNames, masked, suppressed

_READING_LOCK = 7_461  # with a source's name: held by who reads it

Progress = Callable[[str, int], None]  # (locator, records received so far)


@dataclass(frozen=True)
class Load:
    """A row of `raw.loads`; `is_repeat` when the file was loaded before, and this is that earlier load."""

    load_id: int
    source: str
    locator: str
    checksum: str
    received: int
    loaded: int
    duplicate: int
    quarantined: int
    suppressed: int
    newest_at: datetime | None
    started_at: datetime
    committed_at: datetime
    is_repeat: bool = False


class NotAllLoaded(TidemarkError):
    """Some of a source could not be loaded; `loads` holds the rest, `failures` a sentence for each locator."""

    def __init__(self, loads: list[Load], failures: dict[str, str]):
        self.loads, self.failures = loads, failures
        super().__init__(" ".join(failures.values()))


class SourceBusy(TidemarkError):
    """Another process is reading this source now."""


def ingest(
    source: str, paths: Sequence[Path] | None = None, progress: Progress | None = None, wait: bool = True
) -> list[Load]:
    """Load files of a source, each in a transaction of its own, and return their loads in the order given.

    Directories stand for the files in them. Without `paths`, it is what the source has that was not loaded yet; a file
    that is still being written is left for the next time. Who reads a source like this does so alone: another one
    waits, or raises SourceBusy. Raises TidemarkError for an unknown source or a missing path, and NotAllLoaded, after
    all else was loaded, for files that are broken and a source that cannot be read.
    """
    definition = sources.named(source)
    with database.connect("loader", autocommit=True) as connection:
        prepare_session(connection)
        sync_source(connection, source, definition)
        if paths is None:
            _be_alone(connection, source, wait)
        loads, failures = [], {}
        try:
            for locator, take in sources.pending(connection, source, definition, paths):
                try:
                    if arrival := take():
                        loads.append(load(connection, source, definition, arrival, progress))
                except BrokenFile as error:
                    failures[locator] = f"{locator} {error}"
        except SourceFailure as error:
            failures[source] = str(error)
        if paths is None:
            _keep_failures(connection, source, failures)
    if failures:
        raise NotAllLoaded(loads, failures)
    return loads


def reach(source: str) -> str:
    """What is there of a source that is looked at; nothing is loaded. Raises TidemarkError when it cannot be read."""
    with database.connect("loader", autocommit=True) as connection:
        try:
            _be_alone(connection, source, wait=False)
        except SourceBusy:
            return "is being read now"
        return sources.reach(source, sources.named(source))


def _be_alone(connection: psycopg.Connection, name: str, wait: bool) -> None:
    """Hold the right to read this source until the connection ends."""
    key = [_READING_LOCK, name]
    if wait:
        connection.execute("select pg_advisory_lock(%s, hashtext(%s))", key)
    elif not connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone()[0]:
        raise SourceBusy(f"Source {name!r} is being read by another process: it will be up to date when that ends.")


def _keep_failures(connection: psycopg.Connection, name: str, failures: dict[str, str]) -> None:
    """Write down what of a source cannot be read, and since when, in place of what was said when last looked at.

    A source that is not looked at any more has nothing to say either.
    """
    with connection.transaction():
        names = suppressed(connection)
        failures = {masked(names, locator): masked(names, sentence) for locator, sentence in failures.items()}
        connection.execute(
            """delete from ops.source_failures
               where source = %s and locator <> all(%s) or source <> all(%s)""",
            [name, list(failures), sources.standing()],
        )
        for locator, sentence in failures.items():
            connection.execute(
                """insert into ops.source_failures (source, locator, sentence) values (%s, %s, %s)
                   on conflict (source, locator) do update
                   set sentence = excluded.sentence, seen_at = clock_timestamp()""",
                [name, locator, sentence],
            )


def standing_failures(connection: psycopg.Connection) -> list[dict]:
    """What cannot be read of the sources that are looked at: source, locator, sentence, since; the oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = "select source, locator, sentence, since from ops.source_failures order by since, locator"
        return cursor.execute(query).fetchall()


def prepare_session(connection: psycopg.Connection) -> None:
    """Make a fresh connection fit for loading."""
    database.sync_tenant(connection)
    connection.adapters.register_dumper(Uuids, UuidsDumper)
    connection.prepare_threshold = None  # a plan kept from when a table was small would be a bad one
    connection.execute("set client_connection_check_interval = '1s'")  # a killed loader's lock goes with it


def sync_source(connection: psycopg.Connection, name: str, source: Source) -> None:
    connection.execute(
        """insert into ops.sources (source, allowed_lateness) values (%s, %s)
           on conflict (source) do update set allowed_lateness = excluded.allowed_lateness
           where ops.sources.allowed_lateness <> excluded.allowed_lateness""",
        [name, source.allowed_lateness],
    )


def load(
    connection: psycopg.Connection, name: str, source: Source, arrival: Arrival, progress: Progress | None = None
) -> Load:
    """Load one arrival, or return the earlier load of the same bytes. Raises BrokenFile; then nothing has changed."""
    started_at = datetime.now(UTC)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        names = suppressed(connection)
        arrival = replace(arrival, locator=masked(names, arrival.locator))
        if earlier := _earlier(connection, name, arrival.checksum):
            _move_cursor(connection, name, arrival.locator, arrival.cursor(None), earlier.load_id)
            committed = replace(earlier, is_repeat=True)
        else:
            committed = _write(connection, name, source, arrival, names, started_at, progress)
    arrival.acknowledge()
    return committed


def _write(
    connection: psycopg.Connection,
    name: str,
    source: Source,
    arrival: Arrival,
    names: HashedNames,
    started_at: datetime,
    progress: Progress | None,
) -> Load:
    load_id = connection.execute("select nextval('raw.load_ids')").fetchone()[0]
    root = arrival.root or arrival.checksum
    terms = judge(source.undeclared, undeclared.known(connection, name))
    origin = Origin(name, source, arrival.locator, root, arrival.skipped, started_at, load_id, terms, names)
    open_ledger(connection, origin, arrival.checksum, "arrival")
    writer = Writer(connection, origin)
    with arrival.opened() as stream, _short_turns(), ThreadPoolExecutor(1) as reading_ahead:
        prepared = (prepare(batch, origin) for batch in READERS[source.format](stream, source))
        upcoming = reading_ahead.submit(next, prepared, None)
        while batch := upcoming.result():
            upcoming = reading_ahead.submit(next, prepared, None)
            writer.write(batch)
            if progress:
                progress(origin.locator, writer.received)
    last_position = max(writer.last_position, arrival.skipped)
    _move_cursor(connection, name, arrival.locator, arrival.cursor(last_position), load_id)
    record_fields(connection, name, load_id, origin.judge.seen)
    undeclared.record(connection, name, load_id, origin.judge.suspects, source.undeclared)
    return close_ledger(connection, writer)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Have threads take turns more often: who feeds the database needs the interpreter for moments, and at once."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _earlier(connection: psycopg.Connection, name: str, checksum: str) -> Load | None:
    return _ledger_row(connection, "source = %s and checksum = %s", [name, checksum])


def _ledger_row(connection: psycopg.Connection, condition: str, values: list) -> Load | None:
    columns = ", ".join(column.name for column in fields(Load) if column.name != "is_repeat")
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        return cursor.execute(f"select {columns} from raw.loads where {condition}", values).fetchone()


def _move_cursor(connection: psycopg.Connection, name: str, locator: str, cursor: dict, load_id: int) -> None:
    connection.execute(
        """insert into raw.cursors (source, locator, cursor, load_id) values (%s, %s, %s, %s)
           on conflict (source, locator) do update set cursor = excluded.cursor, load_id = excluded.load_id""",
        [name, locator, Jsonb(cursor), load_id],
    )


def open_ledger(connection: psycopg.Connection, origin: Origin, checksum: str, cause: str) -> None:
    """The ledger row comes first, for the others refer to it; its counts come last."""
    connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at, cause)
           values (%s, %s, %s, %s, 0, 0, 0, 0, 0, %s, %s)""",
        [origin.load_id, origin.name, origin.locator, checksum, origin.started_at, cause],
    )


def close_ledger(connection: psycopg.Connection, writer: Writer) -> Load:
    origin, newest = writer.origin, writer.newest_us
    newest_at = None if newest is None else EPOCH + timedelta(microseconds=newest)
    connection.execute(
        """update raw.loads
           set received = %s, loaded = %s, duplicate = %s, quarantined = %s, suppressed = %s, newest_at = %s,
               committed_at = clock_timestamp()
           where load_id = %s""",
        [
            *(writer.received, writer.loaded, writer.duplicate, writer.quarantined, writer.suppressed),
            *(newest_at, origin.load_id),
        ],
    )
    writer.touch_minutes()
    return _ledger_row(connection, "load_id = %s", [origin.load_id])
