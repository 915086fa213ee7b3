"""An arrival becomes a load: events, quarantine, touched hours, cursor and ledger row in one transaction."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError
from orchestration.ingest import sources
from orchestration.ingest.contract import EPOCH, BrokenFile
from orchestration.ingest.dialects import READERS
from orchestration.ingest.sources.arrival import Arrival
from orchestration.ingest.writer import ARRIVING, Origin, Writer, prepare
from orchestration.settings import Source
from orchestration.warehouse import database, marks

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


class FilesNotLoaded(TidemarkError):
    """Some files could not be loaded; `loads` holds those of the others, `failures` a sentence for each locator."""

    def __init__(self, loads: list[Load], failures: dict[str, str]):
        self.loads, self.failures = loads, failures
        super().__init__(" ".join(failures.values()))


def ingest(source: str, paths: Sequence[Path] | None = None, progress: Progress | None = None) -> list[Load]:
    """Load files of a source, each in a transaction of its own, and return their loads in the order given.

    Directories stand for the files in them. Without `paths`, it is what arrived in the source's watched folder since
    it was last looked at; a file that is still being written is left for the next time. Raises TidemarkError for an
    unknown source or a missing path, and FilesNotLoaded, after all others were loaded, for files that are broken.
    """
    definition = sources.named(source)
    with database.connect(autocommit=True) as connection:
        database.sync_tenant(connection)
        _sync_source(connection, source, definition)
        connection.prepare_threshold = None  # a plan kept from when a table was small would be a bad one
        connection.execute("set client_connection_check_interval = '1s'")  # a killed loader's lock goes with it
        connection.execute("set temp_buffers = '32MB'")
        connection.execute(ARRIVING)
        loads, failures = [], {}
        for locator, take in sources.pending(connection, source, definition, paths):
            try:
                loads.append(load(connection, source, definition, take(), progress))
            except BrokenFile as error:
                failures[locator] = f"{locator} {error}"
    if failures:
        raise FilesNotLoaded(loads, failures)
    return loads


def _sync_source(connection: psycopg.Connection, name: str, source: Source) -> None:
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
        if earlier := _earlier(connection, name, arrival.checksum):
            _move_cursor(connection, name, arrival.locator, arrival.cursor(earlier.received), earlier.load_id)
            return replace(earlier, is_repeat=True)
        load_id = connection.execute("select nextval('raw.load_ids')").fetchone()[0]
        origin = Origin(
            name, source, arrival.locator, arrival.root or arrival.checksum, arrival.skipped, started_at, load_id
        )
        _open_ledger(connection, origin, arrival.checksum)
        writer = Writer(connection, origin)
        with arrival.opened() as stream, ThreadPoolExecutor(1) as reading_ahead:
            prepared = (prepare(batch, origin) for batch in READERS[source.format](stream, source))
            upcoming = reading_ahead.submit(next, prepared, None)
            while batch := upcoming.result():
                upcoming = reading_ahead.submit(next, prepared, None)
                writer.write(batch)
                if progress:
                    progress(origin.locator, writer.received)
        _move_cursor(connection, name, arrival.locator, arrival.cursor(writer.last_position), load_id)
        committed = _close_ledger(connection, writer)
    arrival.acknowledge()
    return committed


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


def _open_ledger(connection: psycopg.Connection, origin: Origin, checksum: str) -> None:
    """The ledger row comes first, for the others refer to it; its counts come last."""
    connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at)
           values (%s, %s, %s, %s, 0, 0, 0, 0, 0, %s)""",
        [origin.load_id, origin.name, origin.locator, checksum, origin.started_at],
    )


def _close_ledger(connection: psycopg.Connection, writer: Writer) -> Load:
    origin, newest = writer.origin, writer.newest_us
    newest_at = None if newest is None else EPOCH + timedelta(microseconds=newest)
    connection.execute(
        """update raw.loads
           set received = %s, loaded = %s, duplicate = %s, quarantined = %s, newest_at = %s,
               committed_at = clock_timestamp()
           where load_id = %s""",
        [writer.received, writer.loaded, writer.duplicate, writer.quarantined, newest_at, origin.load_id],
    )
    writer.touch_minutes()
    return _ledger_row(connection, "load_id = %s", [origin.load_id])
