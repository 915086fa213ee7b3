"""Batches of records become rows, in the transaction that the loader opened. Files and the ledger are its affair."""

import io
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from orchestration.ingest import partitions
from orchestration.ingest.contract import EPOCH, Batch, Reason, Refusal, check
from orchestration.settings import Source

if TYPE_CHECKING:
    import polars as pl

_QUARTER_HOUR_US = 900_000_000  # every hour of every zone since 1990 begins at one of these
_MINUTE_US = 60_000_000
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which binary timestamps count

# The identities of a batch, on their way to being looked up. Create it once in a session.
ARRIVING = "create temp table arriving (number integer, identity uuid, occurred_at timestamptz)"

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


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of a load have in common."""

    name: str  # of the source
    source: Source
    locator: str
    root: str  # with its position, the identity of a record that has no other
    skipped: int  # records before the first one: positions count on from here
    started_at: datetime
    load_id: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as far as it gets without the database, so that another thread can do it."""

    batch: Batch
    refusals: list[Refusal]
    events: "pl.DataFrame"  # what the contract returned, with `identity`, sorted by it
    firsts: "pl.DataFrame"  # the first of each identity, with its `number`
    arriving: bytes  # `firsts` for the table `arriving`
    lines: bytes  # `firsts` for `raw.events`, as if all were new


def prepare(batch: Batch, origin: Origin) -> Prepared:
    """Check a batch, and identify its events by the same 16 bytes as SQL's `raw.identity_of`."""
    import polars as pl

    events, refusals = check(batch.frame, origin.source, origin.started_at)
    own = pl.format("{}:{}", pl.lit(origin.root[:32]), pl.col("position") + origin.skipped)
    events = events.with_columns(pl.coalesce("event_id", own).alias("event_id"))
    prefix = f"{origin.name}\x1f"
    identities = [sha256(f"{prefix}{event_id}".encode()).digest()[:16] for event_id in events["event_id"]]
    events = events.with_columns(pl.Series("identity", identities, dtype=pl.Binary)).sort("identity", "position")
    firsts = events.filter(pl.col("identity").is_first_distinct()).with_row_index("number")
    return Prepared(batch, batch.refusals + refusals, events, firsts, _binary(firsts), _csv(firsts, origin))


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


def _csv(events: "pl.DataFrame", origin: Origin) -> bytes:
    """Rows of `raw.events` as CSV for `_COPY_EVENTS`, in the order of their partitions."""
    import polars as pl

    def moment(microseconds: pl.Expr) -> pl.Expr:
        return pl.from_epoch(microseconds, time_unit="us")

    lines = io.BytesIO()
    events.sort("occurred_at").select(
        pl.lit(origin.name).alias("source"),
        *("event_id", "event_type"),
        moment(pl.col("occurred_at")),
        moment(pl.col("received_at").fill_null(_microseconds(origin.started_at))),
        *("user_id", "session_id", "properties"),
        pl.lit(origin.load_id).alias("load_id"),
    ).write_csv(
        lines,
        include_header=False,
        separator="\t",
        quote_char="\x01",
        datetime_format="%Y-%m-%d %H:%M:%S%.6fZ",
    )
    return lines.getvalue()


@dataclass
class Writer:
    """Writes the batches of one load, and keeps count."""

    connection: psycopg.Connection
    origin: Origin
    loaded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    last_position: int = 0
    newest_us: int | None = None
    days: set[date] = field(default_factory=set)
    minutes: set[int] = field(default_factory=set)
    quarters: set[int] = field(default_factory=set)

    @property
    def received(self) -> int:
        return self.loaded + self.duplicate + self.quarantined

    def write(self, prepared: Prepared) -> None:
        refusals, events, firsts = prepared.refusals, prepared.events, prepared.firsts
        if events.height:
            known = self._known(prepared)
            fresh = firsts.join(known, on="number", how="anti") if known.height else firsts
            conflicts = _conflicts(events, firsts, known) if fresh.height < events.height else []
            lines = prepared.lines if fresh.height == firsts.height else _csv(fresh, self.origin)
            unstored = self._store(fresh, lines)
            refusals = refusals + conflicts + unstored
            self.loaded += fresh.height - len(unstored)
            self.duplicate += events.height - fresh.height - len(conflicts)
        if refusals:
            self._quarantine(prepared.batch, refusals)
            self.quarantined += len(refusals)
        self.last_position = self.origin.skipped + prepared.batch.first + len(prepared.batch.records) - 1

    def _known(self, prepared: Prepared) -> "pl.DataFrame":
        """Which of a batch are stored already: (number, first_at). The others stay in the table `arriving`."""
        import polars as pl

        self.connection.execute("truncate arriving")
        with self.connection.cursor().copy("copy arriving from stdin (format binary)") as copy:
            copy.write(prepared.arriving)
        self.connection.execute("set local enable_seqscan = off")
        known = self.connection.execute(_KNOWN).fetchall()
        self._drop([number for number, _ in known])
        return pl.DataFrame(known, schema={"number": pl.UInt32, "first_at": pl.Int64}, orient="row")

    def _drop(self, numbers: list[int]) -> None:
        if numbers:
            self.connection.execute("delete from arriving where number = any(%s)", [numbers])

    def _store(self, events: "pl.DataFrame", lines: bytes) -> list[Refusal]:
        """Write new events, whose identities wait in `arriving`; return those that the database would not take."""
        if events.is_empty():
            return []
        self._ensure_partitions(events)
        refusals = self._copy(events, lines)
        if refusals:
            is_refused = events["position"].is_in([refusal.position for refusal in refusals])
            self._drop(events.filter(is_refused)["number"].to_list())
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

    def _copy(self, events: "pl.DataFrame", lines: bytes) -> list[Refusal]:
        """Copy events into their partitions. Where the database refuses, halve until that record is alone."""
        try:
            with self.connection.transaction(), self.connection.cursor().copy(_COPY_EVENTS) as copy:
                copy.write(lines)
        except psycopg.DataError as error:
            if events.height == 1:
                detail = " ".join(str(error).splitlines()[0].split())[:300]
                return [Refusal(events["position"][0], Reason.REFUSED_BY_DATABASE, detail)]
            half = events.height // 2
            halves = events[:half], events[half:]
            return [refusal for some in halves for refusal in self._copy(some, _csv(some, self.origin))]
        return []

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
            [self.origin.load_id, list(new)],
        )
        self.quarters |= new
        self.minutes |= set((events["occurred_at"] // _MINUTE_US).unique())
        self.newest_us = max(events["occurred_at"].max(), self.newest_us or 0)

    def touch_minutes(self) -> None:
        """Write down the minutes of these events that lie within two days of the newest event of all loads."""
        self.connection.execute(
            """insert into raw.touched_minutes (load_id, minute)
               select %(load)s, to_timestamp(minute * 60)
               from unnest(%(minutes)s::bigint[]) minute
               where to_timestamp(minute * 60) > (select max(newest_at) from raw.loads) - interval '2 days'""",
            {"load": self.origin.load_id, "minutes": list(self.minutes)},
        )

    def _quarantine(self, batch: Batch, refusals: list[Refusal]) -> None:
        columns = "load_id, source, locator, position, reason, detail, payload"
        with self.connection.cursor().copy(f"copy raw.quarantine ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["int8", "text", "text", "int8", "text", "text", "bytea"])
            for refusal in sorted(refusals, key=lambda refusal: refusal.position):
                copy.write_row(
                    [
                        *(self.origin.load_id, self.origin.name, self.origin.locator),
                        refusal.position + self.origin.skipped,
                        *(refusal.reason.value, refusal.detail, batch.payload(refusal.position)),
                    ]
                )


def _conflicts(events: "pl.DataFrame", firsts: "pl.DataFrame", known: "pl.DataFrame") -> list[Refusal]:
    """Refusals of the events that tell another time than the first of their identity, stored or in their batch."""
    import polars as pl

    firsts = firsts.join(known, on="number", how="left")
    first_at = firsts.select("identity", pl.coalesce("first_at", "occurred_at").alias("first_at"))
    differing = events.join(first_at, on="identity").filter(pl.col("occurred_at") != pl.col("first_at"))
    return [
        Refusal(position, Reason.CONFLICTING_DUPLICATE, _conflict(event_id, time, first))
        for position, event_id, time, first in differing.select(
            "position", "event_id", "occurred_at", "first_at"
        ).iter_rows()
    ]


def _conflict(event_id: str, time: int, first: int) -> str:
    said, stood = (f"{EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%fZ}" for us in (time, first))
    return f"occurred_at: {said}, but event_id {ascii(event_id)[:80]} stands at {stood}"
