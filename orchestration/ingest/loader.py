"""A file becomes a load: events, identities, quarantine, touched hours, cursor and ledger row in one transaction."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row

from orchestration.errors import TidemarkError
from orchestration.ingest import partitions, sources
from orchestration.ingest.contract import EPOCH, Batch, BrokenFile, Reason, Refusal, check
from orchestration.settings import Source
from orchestration.warehouse import database, marks

if TYPE_CHECKING:
    import polars as pl

_QUARTER_HOUR_US = 900_000_000  # every hour of every zone since 1990 begins at one of these
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which binary timestamps count

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
        connection.execute("create temp table arriving (number integer, identity uuid, occurred_at timestamptz)")
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
        writer = _Writer(connection, name, source, sources.locator(path), checksum, started_at)
        with sources.opened(path) as stream, ThreadPoolExecutor(1) as reading_ahead:
            prepared = map(writer.prepared, sources.READERS[source.format](stream, source))
            upcoming = reading_ahead.submit(next, prepared, None)
            while batch := upcoming.result():
                upcoming = reading_ahead.submit(next, prepared, None)
                writer.write(*batch)
                if progress:
                    progress(writer.locator, writer.received)
            if sources.fingerprint(path) != fingerprint:
                raise BrokenFile("changed while it was read: load it again when it is complete.")
        _remember(connection, name, path, fingerprint, writer.load_id)
        return writer.close()


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


@dataclass
class _Writer:
    """Writes the batches of one load into the open transaction, and keeps count.

    Another thread prepares the next batch while the database takes this one.
    """

    connection: psycopg.Connection
    name: str
    source: Source
    locator: str
    checksum: str
    started_at: datetime
    load_id: int = 0
    loaded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    newest_us: int | None = None
    days: set[date] = field(default_factory=set)
    quarters: set[int] = field(default_factory=set)

    def __post_init__(self):
        # The ledger row comes first, for the others refer to it; its counts come last.
        row = self.connection.execute(
            """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                      suppressed, started_at)
               values (nextval('raw.load_ids'), %s, %s, %s, 0, 0, 0, 0, 0, %s) returning load_id""",
            [self.name, self.locator, self.checksum, self.started_at],
        ).fetchone()
        self.load_id = row[0]
        self.connection.execute("set local enable_seqscan = off")  # see _KNOWN

    @property
    def received(self) -> int:
        return self.loaded + self.duplicate + self.quarantined

    def prepared(self, batch: Batch) -> tuple[Batch, "pl.DataFrame", list[Refusal]]:
        """What of a batch is to be done without the database: its events, identified, and its refusals."""
        events, refusals = check(batch.frame, self.source, self.started_at)
        return batch, self._identified(events), batch.refusals + refusals

    def write(self, batch: Batch, events: "pl.DataFrame", refusals: list[Refusal]) -> None:
        if events.height:
            fresh, conflicts = self._new(events)
            unstored = self._store(fresh) if fresh.height else []
            refusals = refusals + conflicts + unstored
            self.loaded += fresh.height - len(unstored)
            self.duplicate += events.height - fresh.height - len(conflicts)
        if refusals:
            self._quarantine(batch, refusals)
            self.quarantined += len(refusals)

    def _identified(self, events: "pl.DataFrame") -> "pl.DataFrame":
        """The events with their identity, the same 16 bytes as SQL's `raw.identity_of`, ordered by it."""
        import polars as pl

        own = pl.format("{}:{}", pl.lit(self.checksum[:32]), "position")
        events = events.with_columns(pl.coalesce("event_id", own).alias("event_id"))
        prefix = f"{self.name}\x1f"
        identities = [sha256(f"{prefix}{event_id}".encode()).digest()[:16] for event_id in events["event_id"]]
        return events.with_columns(pl.Series("identity", identities, dtype=pl.Binary)).sort("identity", "position")

    def _new(self, events: "pl.DataFrame") -> tuple["pl.DataFrame", list[Refusal]]:
        """The events whose identity was never seen; and refusals of repeats that tell another time than the first."""
        import polars as pl

        is_first = events["identity"].is_first_distinct()
        firsts = events.filter(is_first).with_row_index("number")
        self.connection.execute("truncate arriving")
        with self.connection.cursor().copy("copy arriving from stdin (format binary)") as copy:
            copy.write(_binary(firsts))
        known = self.connection.execute(_KNOWN).fetchall()
        if not known and firsts.height == events.height:
            return firsts, []
        self.connection.execute("delete from arriving where number = any(%s)", [[number for number, _ in known]])
        stored = pl.DataFrame(known, schema={"number": pl.UInt32, "stored": pl.Int64}, orient="row")
        firsts = firsts.join(stored, on="number", how="left")
        times = firsts.select("identity", pl.coalesce("stored", "occurred_at").alias("first_at"))
        repeats = pl.concat(
            [events.filter(~is_first), firsts.filter(pl.col("stored").is_not_null()).select(events.columns)]
        ).join(times, on="identity")
        conflicts = [
            Refusal(position, Reason.CONFLICTING_DUPLICATE, _conflict(event_id, time, first))
            for position, event_id, time, first in repeats.filter(pl.col("occurred_at") != pl.col("first_at"))
            .select("position", "event_id", "occurred_at", "first_at")
            .iter_rows()
        ]
        return firsts.filter(pl.col("stored").is_null()), conflicts

    def _store(self, events: "pl.DataFrame") -> list[Refusal]:
        """Write new events and their identities, which wait in `arriving`; return those the database would not take."""
        self._ensure_partitions(events)
        refusals = self._copy_events(events.sort("occurred_at"))
        if refusals:
            is_refused = events["position"].is_in([refusal.position for refusal in refusals])
            refused = events.filter(is_refused)["number"].to_list()
            self.connection.execute("delete from arriving where number = any(%s)", [refused])
            events = events.filter(~is_refused)
        self.connection.execute(
            "insert into raw.identities (identity, occurred_at) select identity, occurred_at from arriving"
        )
        self._touch(events)
        return refusals

    def _ensure_partitions(self, events: "pl.DataFrame") -> None:
        import polars as pl

        days = events.select(pl.from_epoch("occurred_at", time_unit="us").dt.date().unique()).to_series()
        new = set(days) - self.days
        if new:
            partitions.ensure(self.connection, new)
            self.days |= new

    def _copy_events(self, events: "pl.DataFrame") -> list[Refusal]:
        """Copy events into their partitions. Where the database refuses, halve until that record is alone."""
        if events.is_empty():
            return []
        try:
            with self.connection.transaction(), self.connection.cursor().copy(_COPY_EVENTS) as copy:
                copy.write(self._csv(events))
        except psycopg.DataError as error:
            if events.height == 1:
                detail = " ".join(str(error).splitlines()[0].split())[:300]
                return [Refusal(events["position"][0], Reason.REFUSED_BY_DATABASE, detail)]
            half = events.height // 2
            return self._copy_events(events[:half]) + self._copy_events(events[half:])
        return []

    def _csv(self, events: "pl.DataFrame") -> bytes:
        import polars as pl

        def moment(microseconds: pl.Expr) -> pl.Expr:
            return pl.from_epoch(microseconds, time_unit="us")

        lines = io.BytesIO()
        events.select(
            pl.lit(self.name).alias("source"),
            *("event_id", "event_type"),
            moment(pl.col("occurred_at")),
            moment(pl.col("received_at").fill_null(_microseconds(self.started_at))),
            *("user_id", "session_id", "properties"),
            pl.lit(self.load_id).alias("load_id"),
        ).write_csv(
            lines,
            include_header=False,
            separator="\t",
            quote_char="\x01",
            datetime_format="%Y-%m-%d %H:%M:%S%.6fZ",
        )
        return lines.getvalue()

    def _touch(self, events: "pl.DataFrame") -> None:
        """Write down the hours of the tenant's clock in which these events are."""
        if events.is_empty():
            return
        new = set((events["occurred_at"] // _QUARTER_HOUR_US).unique()) - self.quarters
        self.connection.execute(
            """insert into raw.touched_hours (load_id, hour)
               select distinct %s::bigint, ops.hour_of(to_timestamp(quarter * 900), ops.timezone())
               from unnest(%s::bigint[]) quarter
               on conflict do nothing""",
            [self.load_id, list(new)],
        )
        self.quarters |= new
        self.newest_us = max(events["occurred_at"].max(), self.newest_us or 0)

    def _quarantine(self, batch: Batch, refusals: list[Refusal]) -> None:
        columns = "load_id, source, locator, position, reason, detail, payload"
        with self.connection.cursor().copy(f"copy raw.quarantine ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["int8", "text", "text", "int8", "text", "text", "bytea"])
            for refusal in sorted(refusals, key=lambda refusal: refusal.position):
                copy.write_row(
                    [
                        *(self.load_id, self.name, self.locator, refusal.position),
                        *(refusal.reason.value, refusal.detail, batch.payload(refusal.position)),
                    ]
                )

    def close(self) -> Load:
        """Write the counts into the ledger row, and return it."""
        newest_at = None if self.newest_us is None else EPOCH + timedelta(microseconds=self.newest_us)
        self.connection.execute(
            """update raw.loads
               set received = %s, loaded = %s, duplicate = %s, quarantined = %s, newest_at = %s,
                   committed_at = clock_timestamp()
               where load_id = %s""",
            [self.received, self.loaded, self.duplicate, self.quarantined, newest_at, self.load_id],
        )
        return _earlier(self.connection, self.name, self.checksum)


# Some thousand identities are looked up among millions: one by one and by index. A join would leave it to the planner,
# which believes the statistics that an autovacuum takes of rows not yet committed, namely that there are none.
_KNOWN = """
    select number, stored
    from (
        select number, (
            select (extract(epoch from occurred_at) * 1000000)::bigint
            from raw.identities where identity = arriving.identity
        ) as stored
        from arriving
        offset 0
    ) looked_up
    where stored is not null"""

# Neither character stands in JSON as it is, so that properties need no quoting at all.
_COPY_EVENTS = """
    copy raw.events (source, event_id, event_type, occurred_at, received_at, user_id, session_id, properties, load_id)
    from stdin (format csv, delimiter E'\\t', quote E'\\x01')"""


def _binary(events: "pl.DataFrame") -> bytes:
    """Rows of `arriving` (number, identity, occurred_at) in PostgreSQL's binary COPY format."""
    import numpy as np

    row = [("fields", ">i2"), ("l1", ">i4"), ("number", ">i4"), ("l2", ">i4"), ("identity", "V16"), ("l3", ">i4")]
    rows = np.zeros(events.height, dtype=[*row, ("occurred_at", ">i8")])
    rows["fields"], rows["l1"], rows["l2"], rows["l3"] = 3, 4, 16, 8
    rows["number"] = events["number"].to_numpy()
    rows["identity"] = np.frombuffer(b"".join(events["identity"]), dtype="V16")
    rows["occurred_at"] = events["occurred_at"].to_numpy() - _POSTGRES_EPOCH_US
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _conflict(event_id: str, time: int, first: int) -> str:
    said, stood = (f"{EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%fZ}" for us in (time, first))
    return f"occurred_at: {said}, but event_id {ascii(event_id)[:80]} stands at {stood}"
