"""Batches of records become rows, in the transaction that the loader opened. Files and the ledger are its affair."""

import io
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from orchestration.ingest import consent, displacement, voiding
from orchestration.ingest.contract import EPOCH, Batch, Reason, Refusal, check, conflict
from orchestration.ingest.schemas import Judge
from orchestration.ingest.suppression import without_suppressed, without_suppressed_bytes
from orchestration.settings import Source, settings
from orchestration.warehouse import partitions
from orchestration.warehouse.names import HashedNames
from orchestration.warehouse.sealing import sealed

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_QUARTER_HOUR_US = 900_000_000  # every hour of every zone since 1990 begins at one of these
_MINUTE_US = 60_000_000
_TWO_DAYS_US = 2 * 86_400_000_000
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which binary timestamps count

# Some thousand identities are looked up among millions, in one descent of the index for all of a page. The planner must
# not choose otherwise: it believes the statistics that an autovacuum takes of rows not yet committed, namely none. Nor
# need it look at each of them beforehand: a subselect hides them from it.
_KNOWN = """
    select uuid_send(identity), (extract(epoch from occurred_at) * 1000000)::bigint, load_id, position
    from raw.identities where identity = any((select %s)::uuid[])"""

_COPY_IDENTITIES = "copy raw.identities (identity, occurred_at, load_id, position) from stdin (format binary)"

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
    judge: Judge
    suppressed: HashedNames  # who was erased


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as far as it gets without the database, so that another thread can do it."""

    batch: Batch
    refusals: list[Refusal]
    suppressed: int
    events: "pl.DataFrame"  # what the contract returned, with `identity`, sorted by it
    firsts: "pl.DataFrame"  # the first of each identity, with its `number`
    identities: bytes  # `firsts` for `raw.identities`, as if all were new
    lines: bytes  # the same for `raw.events`


def prepare(batch: Batch, origin: Origin) -> Prepared:
    """Leave out who was erased, check the rest of a batch, and identify its events."""
    events, refusals = checked(without_suppressed(batch.frame, origin.suppressed), origin)
    events = without_suppressed(events, origin.suppressed)  # by pseudonym, where user_id has become one
    refusals = without_suppressed_bytes(batch, batch.refusals + refusals, origin.suppressed)
    return identified(batch, events, refusals, origin)


def checked(frame: "pl.DataFrame", origin: Origin) -> tuple["pl.DataFrame", list[Refusal]]:
    """What the contract makes of records. Its events say in which load, at which `place` of it, they first came."""
    import polars as pl

    events, refusals = check(frame, origin.source, origin.started_at, origin.judge)
    place = pl.col("position") + origin.skipped
    events = events.with_columns(
        pl.coalesce("event_id", pl.format("{}:{}", pl.lit(origin.root[:32]), place)).alias("event_id"),
        pl.col("received_at").fill_null(_microseconds(origin.started_at)),
        pl.lit(origin.load_id, pl.Int64).alias("load_id"),
        place.alias("place"),
    )
    return events, refusals


def identified(batch: Batch, events: "pl.DataFrame", refusals: list[Refusal], origin: Origin) -> Prepared:
    """Identify events by the same 16 bytes as SQL's `raw.identity_of`, and find the first of each identity."""
    import polars as pl

    if not events["position"].is_sorted():
        events = events.sort("position")
    prefix = f"{origin.name}\x1f".encode()
    ids = events["event_id"].cast(pl.Binary).to_list()
    identities = [sha256(prefix + event_id).digest()[:16] for event_id in ids]
    events = events.with_columns(pl.Series("identity", identities, dtype=pl.Binary))
    is_first = events["identity"].is_first_distinct()
    firsts = (events if is_first.all() else events.filter(is_first)).with_row_index("number")
    suppressed = batch.received - events.height - len(refusals)
    return Prepared(batch, refusals, suppressed, events, firsts, _binary(firsts), _csv(firsts, origin))


def _binary(events: "pl.DataFrame") -> bytes:
    """Rows of `raw.identities` for `_COPY_IDENTITIES`."""
    import numpy as np

    events = events.select("identity", "occurred_at", "load_id", "place").sort("identity")
    columns = {
        "identity": ("V16", _bytes16(events["identity"])),
        "occurred_at": (">i8", events["occurred_at"].to_numpy() - _POSTGRES_EPOCH_US),
        "load_id": (">i8", events["load_id"].to_numpy()),
        "position": (">i8", events["place"].to_numpy()),
    }
    row = [field for name, (form, _) in columns.items() for field in ((f"{name} bytes", ">i4"), (name, form))]
    rows = np.zeros(events.height, dtype=[("fields", ">i2"), *row])
    rows["fields"] = len(columns)
    for name, (form, values) in columns.items():
        rows[f"{name} bytes"] = np.dtype(form).itemsize
        rows[name] = values
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


class Uuids(bytes):
    """A uuid[] as PostgreSQL sends and receives it."""


class UuidsDumper(Dumper):
    """Have psycopg send it as it is: register it once for a connection that writes."""

    format = Format.BINARY
    oid = types["uuid"].array_oid

    def dump(self, value: Uuids) -> bytes:
        return value


def _uuids(identities: "pl.Series") -> Uuids:
    """Dimensions, nulls, type, size and lower bound, then the length and the bytes of each."""
    import numpy as np

    items = np.zeros(len(identities), dtype=[("bytes", ">i4"), ("identity", "V16")])
    items["bytes"] = 16
    items["identity"] = _bytes16(identities)
    head = np.array([1, 0, types["uuid"].oid, len(identities), 1], dtype=">i4")
    return Uuids(head.tobytes() + items.tobytes())


def _bytes16(identities: "pl.Series") -> "np.ndarray":
    import numpy as np

    return np.frombuffer(b"".join(identities.to_list()), dtype="V16")


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
        moment(pl.col("received_at")),
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
    suppressed: int = 0
    last_position: int = 0
    newest_us: int | None = None
    days: set[date] = field(default_factory=set)
    minutes: set[int] = field(default_factory=set)
    frozen: dict[date, date] | None = None  # the tenant's days that take no more events
    quarters: set[int] = field(default_factory=set)
    has_met_known: bool = False  # an event that stood already: more of them may come

    @property
    def received(self) -> int:
        return self.loaded + self.duplicate + self.quarantined + self.suppressed

    def write(self, prepared: Prepared) -> None:
        refusals = prepared.refusals + self.store(prepared)
        self.suppressed += prepared.suppressed
        if refusals:
            self._quarantine(prepared.batch, refusals)
            self.quarantined += len(refusals)
        self.last_position = self.origin.skipped + prepared.batch.first + len(prepared.batch.records) - 1

    def store(self, prepared: Prepared) -> list[Refusal]:
        """Write the events that are new. Return refusals of those that tell another time than what stands, and of
        those that cannot be stored."""
        events, firsts = prepared.events, prepared.firsts
        if events.is_empty():
            return []
        self.connection.execute("set local enable_seqscan = off")  # identities are looked up by their key: see _KNOWN
        if self._store_as_new(prepared):
            known, fresh, unstored = firsts.clear().select("number", first_at="occurred_at"), firsts, []
        else:
            known, displaced = self._known(prepared)
            fresh = firsts.join(known, on="number", how="anti") if known.height else firsts
            unstored = self._store(prepared, fresh, displaced)
        events, orphans = _without_orphans(events, unstored)
        conflicts = _conflicts(events, firsts, known) if fresh.height < prepared.events.height else []
        loaded = fresh.height - len(unstored)
        self.loaded += loaded
        self.duplicate += events.height - loaded - len(conflicts)
        refusals = unstored + conflicts
        if orphans.height:
            refusals += self.store(identified(prepared.batch, orphans, [], self.origin))
        return refusals

    def _store_as_new(self, prepared: Prepared) -> bool:
        """Write a batch as if none of it stood already, which saves looking up each event among all stored ones. The
        key of the identities says when that is not so: then nothing is written, and False returned."""
        if self.has_met_known or self._expired(prepared.firsts):
            return False
        days = set(self.days)
        try:
            with self.connection.transaction():
                self._ensure_partitions(prepared.firsts)
                self._copy_identities(prepared.identities)
                self._copy_events(prepared.lines)
        except (psycopg.errors.UniqueViolation, psycopg.DataError) as error:
            self.days = days
            self.has_met_known = isinstance(error, psycopg.errors.UniqueViolation)
            return False
        self._follow(prepared.firsts)
        return True

    def _known(self, prepared: Prepared) -> tuple["pl.DataFrame", "pl.DataFrame"]:
        """Which of a batch stand already, with `first_at`; and which of those came later than the batch's own, and
        give way."""
        import polars as pl

        rows = self.connection.execute(_KNOWN, [_uuids(prepared.firsts["identity"])], binary=True).fetchall()
        schema = {"identity": pl.Binary, "first_at": pl.Int64, "first_load": pl.Int64, "first_place": pl.Int64}
        known = pl.DataFrame(rows, schema=schema, orient="row")
        known = known.join(prepared.firsts.select("identity", "number"), on="identity").drop("identity")
        displaced = known
        if known.height:
            is_later = (pl.col("first_load") > pl.col("load_id")) | (
                (pl.col("first_load") == pl.col("load_id")) & (pl.col("first_place") > pl.col("place"))
            )
            displaced = known.join(prepared.firsts, on="number").filter(is_later)
            displaced = displaced.filter(self._days_frozen(displaced["first_at"]).is_null())
            known = known.join(displaced, on="number", how="anti")
        return known, displaced

    def _store(self, prepared: Prepared, events: "pl.DataFrame", displaced: "pl.DataFrame") -> list[Refusal]:
        """Write those events of a batch that are new; return those that the database would not take."""
        import polars as pl

        expired = self._expired(events)
        if expired:
            events = _without(events, expired)
        if events.is_empty():
            return expired
        self._ensure_partitions(events)
        are_all = events.height == prepared.firsts.height
        refusals = self._copy(events, prepared.lines if are_all else _csv(events, self.origin))
        if refusals:
            events = _without(events, refusals)
        if events.is_empty():
            return expired + refusals
        if displaced.height:
            displaced = displaced.join(events, on="number", how="semi")
            displacement.displace(self.connection, self.origin.name, self.origin.load_id, displaced)
            self._touch(displaced["first_at"])
            gone = displaced["event_id"].to_list()
            self._touch(pl.Series(voiding.unvoid(self.connection, self.origin.name, gone), dtype=pl.Int64))
            self._touch(pl.Series(consent.forget(self.connection, self.origin.name, gone), dtype=pl.Int64))
        self._copy_identities(prepared.identities if are_all and not refusals else _binary(events))
        self._follow(events)
        return expired + refusals

    def _follow(self, events: "pl.DataFrame") -> None:
        """What new events entail: touched hours, those of what they void and state, and how far time has come."""
        import polars as pl

        self._touch(events["occurred_at"])
        voided = voiding.void(self.connection, self.origin.name, self.origin.load_id, events)
        self._touch(pl.Series(voided, dtype=pl.Int64))
        stated = consent.state(self.connection, self.origin.name, self.origin.load_id, events)
        self._touch(pl.Series(stated, dtype=pl.Int64))
        self.newest_us = max(events["occurred_at"].max(), self.newest_us or 0)

    def _expired(self, events: "pl.DataFrame") -> list[Refusal]:
        """Refusals of new events on days that cannot be computed again, for retention let their events go."""
        days_frozen = self._days_frozen(events["occurred_at"])
        if days_frozen.null_count() == len(days_frozen):
            return []
        days = zip(events["position"], days_frozen, strict=True)
        return [
            Refusal(position, Reason.EXPIRED_DAY, _expiry(day, self.frozen[day]))
            for position, day in days
            if day is not None
        ]

    def _days_frozen(self, times: "pl.Series") -> "pl.Series":
        """The tenant's day of each time, null unless retention let its events go."""
        import polars as pl

        if self.frozen is None:
            self.frozen = partitions.frozen_days(self.connection)
        if not self.frozen or times.is_empty():
            return pl.repeat(None, len(times), dtype=pl.Date, eager=True)
        zone = self.connection.execute("select ops.timezone()").fetchone()[0]
        moments = pl.from_epoch(times, time_unit="us").dt.replace_time_zone("UTC")
        days = moments.dt.convert_time_zone(zone).dt.date()
        return days.to_frame("day").select(pl.when(pl.col("day").is_in(list(self.frozen))).then("day")).to_series()

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
            with self.connection.transaction():
                self._copy_events(lines)
        except psycopg.DataError as error:
            if events.height == 1:
                detail = " ".join(str(error).splitlines()[0].split())[:300]
                return [Refusal(events["position"][0], Reason.REFUSED_BY_DATABASE, detail)]
            half = events.height // 2
            halves = events[:half], events[half:]
            return [refusal for some in halves for refusal in self._copy(some, _csv(some, self.origin))]
        return []

    def _copy_events(self, lines: bytes) -> None:
        with self.connection.cursor().copy(_COPY_EVENTS) as copy:
            copy.write(lines)

    def _copy_identities(self, rows: bytes) -> None:
        with self.connection.cursor().copy(_COPY_IDENTITIES) as copy:
            copy.write(rows)

    def _touch(self, times: "pl.Series") -> None:
        """Write down the hours of the tenant's clock in which these times are."""
        new = set((times // _QUARTER_HOUR_US).unique()) - self.quarters
        if times.is_empty():
            return
        self.connection.execute(
            """insert into raw.touched_hours (load_id, hour)
               select distinct %s::bigint, ops.hour_of(to_timestamp(quarter * 900), ops.timezone())
               from unnest(%s::bigint[]) quarter
               on conflict do nothing""",
            [self.origin.load_id, list(new)],
        )
        self.quarters |= new
        self.minutes |= set((times // _MINUTE_US).unique())

    def touch_minutes(self) -> None:
        """Write down the minutes of these events that lie within two days of the newest event of all loads."""
        oldest = ((self.newest_us or 0) - _TWO_DAYS_US) // _MINUTE_US
        minutes = [minute for minute in self.minutes if minute >= oldest]  # a load of history has very many
        self.connection.execute(
            """insert into raw.touched_minutes (load_id, minute)
               select %(load)s, to_timestamp(minute * 60)
               from unnest(%(minutes)s::bigint[]) minute
               where to_timestamp(minute * 60) > (select max(newest_at) from raw.loads) - interval '2 days'""",
            {"load": self.origin.load_id, "minutes": minutes},
        )

    def _quarantine(self, batch: Batch, refusals: list[Refusal]) -> None:
        key = settings().key
        columns = "load_id, source, locator, root, format, position, reason, detail, payload"
        with self.connection.cursor().copy(f"copy raw.quarantine ({columns}) from stdin (format binary)") as copy:
            copy.set_types(["int8", "text", "text", "text", "text", "int8", "text", "text", "bytea"])
            for refusal in sorted(refusals, key=lambda refusal: refusal.position):
                copy.write_row(
                    [
                        *(self.origin.load_id, self.origin.name, self.origin.locator),
                        *(self.origin.root, self.origin.source.format),
                        refusal.position + self.origin.skipped,
                        *(refusal.reason.value, refusal.detail, sealed(batch.payload(refusal.position), key)),
                    ]
                )


def _conflicts(events: "pl.DataFrame", firsts: "pl.DataFrame", known: "pl.DataFrame") -> list[Refusal]:
    """Refusals of the events that tell another time than the first of their identity, stored or in their batch."""
    import polars as pl

    firsts = firsts.join(known, on="number", how="left")
    first_at = firsts.select("identity", pl.coalesce("first_at", "occurred_at").alias("first_at"))
    differing = events.join(first_at, on="identity").filter(pl.col("occurred_at") != pl.col("first_at"))
    return [
        Refusal(position, Reason.CONFLICTING_DUPLICATE, conflict(event_id, time, first))
        for position, event_id, time, first in differing.select(
            "position", "event_id", "occurred_at", "first_at"
        ).iter_rows()
    ]


def _without(events: "pl.DataFrame", refusals: list[Refusal]) -> "pl.DataFrame":
    return events.filter(~events["position"].is_in([refusal.position for refusal in refusals]))


def _without_orphans(events: "pl.DataFrame", unstored: list[Refusal]) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """Set apart the events of which the first of their identity was not stored: the next one has another chance."""
    if not unstored:
        return events, events.clear()
    is_unstored = events["position"].is_in([refusal.position for refusal in unstored])
    others = events.filter(~is_unstored)
    is_orphan = others["identity"].is_in(events["identity"].filter(is_unstored).implode())
    return others.filter(~is_orphan), others.filter(is_orphan)


def _expiry(day: date, expired: date) -> str:
    return (
        f"occurred_at: {day} is complete for good, for the events of {expired} were archived or dropped; "
        f"`tidemark retention restore {expired}`, then replay"
    )
