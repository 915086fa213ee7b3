"""A file becomes a load: events, identities, quarantine, touched hours, cursor and ledger row in one transaction."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import class_row

from orchestration.errors import TidemarkError
from orchestration.ingest import sources
from orchestration.ingest.contract import EPOCH, BrokenFile
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
    """Some files could not be loaded; `loads` holds those of the others, `failures` a sentence for each path."""

    def __init__(self, loads: list[Load], failures: dict[Path, str]):
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
        if paths is None:
            if definition.path is None:
                raise TidemarkError(f"Source {source!r} has no watched folder: name the files to load.")
            files = sources.settled(sources.arrived(connection, source, definition))
        else:
            files = sources.expanded(paths, definition)
        database.sync_tenant(connection)
        _sync_source(connection, source, definition)
        connection.prepare_threshold = None  # a plan kept from when a table was small would be a bad one
        connection.execute("set client_connection_check_interval = '1s'")  # a killed loader's lock goes with it
        connection.execute("set temp_buffers = '32MB'")
        connection.execute(ARRIVING)
        loads, failures = [], {}
        for path in files:
            try:
                loads.append(load(connection, source, definition, path, progress))
            except BrokenFile as error:
                failures[path] = f"{path} {error}"
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
    connection: psycopg.Connection, name: str, source: Source, path: Path, progress: Progress | None = None
) -> Load:
    """Load one file, or return the earlier load of the same bytes. Raises BrokenFile; then nothing has changed."""
    started_at = datetime.now(UTC)
    fingerprint, checksum = sources.examined(path)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        if earlier := _earlier(connection, name, checksum):
            _remember(connection, name, path, fingerprint, earlier.load_id)
            return replace(earlier, is_repeat=True)
        load_id = connection.execute("select nextval('raw.load_ids')").fetchone()[0]
        origin = Origin(name, source, sources.locator(path), checksum, started_at, load_id)
        _open_ledger(connection, origin)
        writer = Writer(connection, origin)
        with sources.opened(path) as stream, ThreadPoolExecutor(1) as reading_ahead:
            batches = sources.READERS[source.format](stream, source)
            prepared = (prepare(batch, origin) for batch in batches)
            upcoming = reading_ahead.submit(next, prepared, None)
            while batch := upcoming.result():
                upcoming = reading_ahead.submit(next, prepared, None)
                writer.write(batch)
                if progress:
                    progress(origin.locator, writer.received)
            if sources.fingerprint(path) != fingerprint:
                raise BrokenFile("changed while it was read: load it again when it is complete.")
        _remember(connection, name, path, fingerprint, origin.load_id)
        return _close_ledger(connection, writer)


def _earlier(connection: psycopg.Connection, name: str, checksum: str) -> Load | None:
    columns = ", ".join(column.name for column in fields(Load) if column.name != "is_repeat")
    query = f"select {columns} from raw.loads where source = %s and checksum = %s"
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        return cursor.execute(query, [name, checksum]).fetchone()


def _remember(connection: psycopg.Connection, name: str, path: Path, seen: tuple[int, int], load_id: int) -> None:
    connection.execute(
        """insert into raw.files (source, locator, size, modified_ns, load_id) values (%s, %s, %s, %s, %s)
           on conflict (source, locator) do update
           set size = excluded.size, modified_ns = excluded.modified_ns, load_id = excluded.load_id""",
        [name, sources.locator(path), *seen, load_id],
    )


def _open_ledger(connection: psycopg.Connection, origin: Origin) -> None:
    """The ledger row comes first, for the others refer to it; its counts come last."""
    connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at)
           values (%s, %s, %s, %s, 0, 0, 0, 0, 0, %s)""",
        [origin.load_id, origin.name, origin.locator, origin.checksum, origin.started_at],
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
    return _earlier(connection, origin.name, origin.checksum)
