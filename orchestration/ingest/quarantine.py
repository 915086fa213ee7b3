"""Records that were refused: looking at them, replaying them, giving them up. Why they were is the contract's say."""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row, dict_row

from orchestration.errors import TidemarkError
from orchestration.ingest import loader, sources, undeclared
from orchestration.ingest.contract import SCHEMA, Batch, BrokenFile, Reason, Refusal
from orchestration.ingest.dialects import READERS, parquet_rows
from orchestration.ingest.fields import record as record_fields
from orchestration.ingest.schemas import judge
from orchestration.ingest.suppression import without_suppressed
from orchestration.ingest.writer import Origin, Writer, checked, identified
from orchestration.settings import Source, settings
from orchestration.warehouse import audit, database, marks
from orchestration.warehouse.names import suppressed
from orchestration.warehouse.sealing import opened

if TYPE_CHECKING:
    import polars as pl

CHUNK_RECORDS = 20_000
CHUNK_BYTES = 16 * 1024 * 1024
_COLUMNS = (
    "quarantine_id, load_id, source, locator, position, format, reason, detail, octet_length(payload) as bytes, "
    "replayed_at, dropped_at"
)
_PENDING = "replayed_at is null and dropped_at is null"
# Reasons that only the schemas give, or what comes after them.
_SEEN_BY_SCHEMAS = frozenset(
    [
        *(Reason.UNKNOWN_FIELD, Reason.INVALID_VALUE),
        *(Reason.CONFLICTING_DUPLICATE, Reason.EXPIRED_DAY, Reason.REFUSED_BY_DATABASE),
    ]
)


@dataclass(frozen=True)
class Selection:
    """Which records of the quarantine: all that are given hold at once."""

    ids: tuple[int, ...] = ()
    source: str | None = None
    reason: str | None = None

    def condition(self) -> tuple[str, dict]:
        """As SQL over `raw.quarantine`, with its values. Raises TidemarkError for a reason that is none."""
        if self.reason is not None and self.reason not in set(Reason):
            raise TidemarkError(f"{self.reason!r} is not a reason for quarantine: use one of {', '.join(Reason)}.")
        parts = ["true"]
        parts += ["quarantine_id = any(%(ids)s)"] if self.ids else []
        parts += ["source = %(source)s"] if self.source else []
        parts += ["reason = %(reason)s"] if self.reason else []
        return " and ".join(parts), {"ids": list(self.ids), "source": self.source, "reason": self.reason}


@dataclass(frozen=True)
class Replay:
    """What became of the selected records of a source: `replayed` = `loaded` + `duplicate` + those of who was
    erased, in load `load_id`.

    Those that are `refused` again stay as they are, and in no count of any load.
    """

    source: str
    load_id: int | None  # none: nothing was replayed
    loaded: int
    duplicate: int
    refused: int


def listed(connection: psycopg.Connection, selection: Selection, limit: int = 50) -> list[dict]:
    """The newest records of a selection, without their payloads."""
    condition, values = selection.condition()
    query = f"select {_COLUMNS} from raw.quarantine where {condition} order by quarantine_id desc limit %(limit)s"
    return _rows(connection, query, values | {"limit": limit})


def show(connection: psycopg.Connection, quarantine_id: int) -> dict:
    """One refused record with its `payload`, the bytes as they came. Raises TidemarkError when there is none."""
    query = f"select {_COLUMNS}, payload from raw.quarantine where quarantine_id = %(id)s"
    found = _rows(connection, query, {"id": quarantine_id})
    if not found:
        raise TidemarkError(f"There is no record {quarantine_id} in quarantine: see `./tidemark quarantine list`.")
    return found[0] | {"payload": opened(found[0]["payload"])}


def _rows(connection: psycopg.Connection, query: str, values: dict) -> list[dict]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def drop(connection: psycopg.Connection, selection: Selection) -> int:
    """Give up the waiting records of a selection: their payloads are emptied, their rows stay. Returns their number."""
    condition, values = selection.condition()
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        query = f"""update raw.quarantine set dropped_at = clock_timestamp(), payload = ''
                    where {_PENDING} and {condition} returning quarantine_id"""
        dropped = [quarantine_id for (quarantine_id,) in connection.execute(query, values)]
        if dropped:
            subject = f"{len(dropped)} records" if len(dropped) > 1 else f"record {dropped[0]}"
            what = {"source": selection.source, "reason": selection.reason, "ids": dropped}
            audit.record(connection, "quarantine dropped", subject, **what)
    return len(dropped)


# Replay ----------------------------------------------------------------------------------------------------------


def replay(selection: Selection, progress: loader.Progress | None = None) -> tuple[list[Replay], list[str]]:
    """Load the waiting records of a selection as if they had been right the first time, source by source.

    A record keeps the identity, the clock and the rank that it had in its own load: it goes before what came later,
    and after what came earlier. Returns what was done, and a sentence for each source that cannot be replayed.
    """
    condition, values = selection.condition()
    done, failures = [], []
    with database.connect("loader", autocommit=True) as connection:
        query = f"select distinct source from raw.quarantine where {_PENDING} and {condition} order by source"
        names = [name for (name,) in connection.execute(query, values)]
        loader.prepare_session(connection)
        for name in names:
            try:
                done.append(_replay(connection, name, sources.named(name), condition, values, progress))
            except TidemarkError as error:
                failures.append(f"What source {name!r} has in quarantine cannot be replayed: {error}")
    return done, failures


@dataclass(frozen=True)
class _Waiting:
    """A record in quarantine, and what its own load says about it."""

    quarantine_id: int
    load_id: int
    position: int
    root: str
    started_at: datetime
    format: str
    reason: str
    detail: str
    bytes: int

    @property
    def is_recorded(self) -> bool:
        """Whether its fields were recorded before: the schemas saw it, which name what they refuse by its path."""
        return self.reason in _SEEN_BY_SCHEMAS or self.detail.startswith("properties.")


def _replay(
    connection: psycopg.Connection,
    name: str,
    source: Source,
    condition: str,
    values: dict,
    progress: loader.Progress | None,
) -> Replay:
    """Replay the records of one source in one transaction, in the order in which they came."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        loader.sync_source(connection, name, source)
        load_id = connection.execute("select nextval('raw.load_ids')").fetchone()[0]
        terms = judge(source.undeclared, undeclared.known(connection, name))
        origin = Origin(name, source, "quarantine", "", 0, datetime.now(UTC), load_id, terms, suppressed(connection))
        loader.open_ledger(connection, origin, "", "replay")
        writer = Writer(connection, origin)
        refused = 0
        for chunk in _chunks(connection, name, source, condition, values):
            _check_format(chunk, source)
            refusals = _replay_chunk(writer, source, chunk)
            refused += len(refusals)
            _settle(connection, chunk, refusals)
            if progress:
                progress(f"{name} in quarantine", writer.received + refused)
        if writer.received:
            loader.close_ledger(connection, writer)
        else:
            connection.execute("delete from raw.loads where load_id = %s", [load_id])
    return Replay(name, load_id if writer.received else None, writer.loaded, writer.duplicate, refused)


def _check_format(chunk: list[_Waiting], source: Source) -> None:
    for record in chunk:
        if record.format not in (source.format, "native"):
            raise TidemarkError(
                f"record {record.quarantine_id} came as {record.format}, and config/sources.yml says {source.format} "
                "now: set the format back, or drop what came in the other one."
            )


def _chunks(
    connection: psycopg.Connection, name: str, source: Source, condition: str, values: dict
) -> Iterator[list[_Waiting]]:
    """The waiting records in the order in which they came, without their payloads, as many at a time as fit."""
    query = f"""
        select quarantine_id, load_id, position, coalesce(root, checksum) as root, started_at,
               coalesce(format, %(format)s) as format, reason, detail, octet_length(payload) as bytes
        from (select * from raw.quarantine where {_PENDING} and source = %(name)s and {condition}) as waiting
        join (select load_id, checksum, started_at from raw.loads) as loads using (load_id)
        order by load_id, position"""
    with connection.cursor("waiting", row_factory=class_row(_Waiting)) as cursor:
        cursor.itersize = CHUNK_RECORDS
        chunk: list[_Waiting] = []
        size = 0
        for record in cursor.execute(query, values | {"name": name, "format": source.format}):
            if chunk and (len(chunk) == CHUNK_RECORDS or size + record.bytes > CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(record)
            size += record.bytes
    if chunk:
        yield chunk


def _replay_chunk(writer: Writer, source: Source, chunk: list[_Waiting]) -> dict[int, Refusal]:
    """Write what is accepted now; return the refusals of the others by their index in the chunk."""
    import polars as pl

    payloads = _payloads(writer.connection, chunk)
    frame, refusals = _read(payloads, chunk, source)
    events = []
    judge = writer.origin.judge
    of_one = lambda numbered: (numbered[1].load_id, numbered[1].is_recorded)  # noqa: E731
    for (load_id, is_recorded), group in groupby(sorted(enumerate(chunk), key=of_one), key=of_one):
        indices, records = zip(*group, strict=True)
        places = pl.DataFrame({"index": indices, "place": [record.position for record in records]})
        of_load = frame.join(places, left_on="position", right_on="index", how="inner", maintain_order="left")
        first = records[0]
        origin = replace(writer.origin, root=first.root, started_at=first.started_at, load_id=load_id)
        judge.seen = {}
        found, refused = checked(of_load.with_columns(position="place").drop("place"), origin)
        if not is_recorded:
            record_fields(writer.connection, origin.name, load_id, judge.seen)
        index_of = dict(zip((record.position for record in records), indices, strict=True))
        events.append(found.with_columns(pl.col("place").replace_strict(index_of).alias("position")))
        refusals += [Refusal(index_of[refusal.position], refusal.reason, refusal.detail) for refusal in refused]
    together = pl.concat(events)
    kept = without_suppressed(together, writer.origin.suppressed)
    _empty(writer.connection, chunk, set(together["position"]) - set(kept["position"]))
    writer.suppressed += together.height - kept.height
    refusals += writer.store(identified(Batch(0, payloads, frame, []), kept, [], writer.origin))
    return {refusal.position: refusal for refusal in refusals}


def _empty(connection: psycopg.Connection, chunk: list[_Waiting], indices: set[int]) -> None:
    """Keep no bytes of who was erased."""
    ids = [chunk[index].quarantine_id for index in indices]
    connection.execute("update raw.quarantine set payload = '' where quarantine_id = any(%s)", [ids])


def _payloads(connection: psycopg.Connection, chunk: list[_Waiting]) -> list[bytes]:
    ids = [record.quarantine_id for record in chunk]
    query = "select quarantine_id, payload from raw.quarantine where quarantine_id = any(%s)"
    found = dict(connection.execute(query, [ids]).fetchall())
    key = settings().key
    return [opened(found[quarantine_id], key) for quarantine_id in ids]


def _settle(connection: psycopg.Connection, chunk: list[_Waiting], refusals: dict[int, Refusal]) -> None:
    """Mark what was replayed, and bring reason and detail of the others up to date."""
    replayed = [record.quarantine_id for index, record in enumerate(chunk) if index not in refusals]
    connection.execute(
        "update raw.quarantine set replayed_at = clock_timestamp() where quarantine_id = any(%s)", [replayed]
    )
    changed = [
        (chunk[index].quarantine_id, refusal.reason.value, refusal.detail)
        for index, refusal in refusals.items()
        if (chunk[index].reason, chunk[index].detail) != (refusal.reason, refusal.detail)
    ]
    if changed:
        connection.execute(
            """update raw.quarantine set reason = now.reason, detail = now.detail
               from unnest(%s::bigint[], %s::text[], %s::text[]) as now (quarantine_id, reason, detail)
               where quarantine.quarantine_id = now.quarantine_id""",
            [list(column) for column in zip(*changed, strict=True)],
        )


def _read(payloads: list[bytes], chunk: list[_Waiting], source: Source) -> tuple["pl.DataFrame", list[Refusal]]:
    """What the readers make of payloads: their events and refusals, in which `position` is the payload's index."""
    import polars as pl

    alike: dict[tuple[str, bytes], list[tuple[int, bytes]]] = {}
    for index, (payload, record) in enumerate(zip(payloads, chunk, strict=True)):
        alike.setdefault((record.format, _head(payload, record.format)), []).append((index, payload))
    frames, refusals = [pl.DataFrame(schema=dict.fromkeys(SCHEMA, pl.String) | {"position": pl.Int64})], []
    for (form, head), numbered in alike.items():
        then = source.model_copy(update={"format": form})
        for indices, batches in _read_rows(numbered, then) if form == "parquet" else _read_alike(numbered, head, then):
            for batch in batches:
                found = [indices[position - 1] for position in batch.frame["position"]]
                frames.append(batch.frame.with_columns(pl.Series("position", found, dtype=pl.Int64)))
                refusals += [replace(refusal, position=indices[refusal.position - 1]) for refusal in batch.refusals]
    frame = pl.concat(frames)
    seen = set(frame["position"]) | {refusal.position for refusal in refusals}
    refusals += [
        Refusal(index, Reason(record.reason), record.detail) for index, record in enumerate(chunk) if index not in seen
    ]
    return frame, refusals


def _head(payload: bytes, form: str) -> bytes:
    """What payloads that are read in one go have in common: the header line of a CSV file, a Parquet file's schema."""
    if form == "parquet":
        return parquet_rows.schema_of(payload)
    return payload[: payload.find(b"\n") + 1] if form == "csv" else b""


def _read_alike(
    numbered: list[tuple[int, bytes]], head: bytes, source: Source
) -> Iterator[tuple[list[int], list[Batch]]]:
    """Read payloads in one go where that gives each of them back, else by halves; leave out what reads as no record.

    Yields the indices of some payloads, and the batches in which they have the positions from 1.
    """
    indices, payloads = [index for index, _ in numbered], [payload for _, payload in numbered]
    joined = head + b"\n".join(payload.removeprefix(head).removesuffix(b"\n") for payload in payloads)
    try:
        batches = list(READERS[source.format](io.BytesIO(joined), source))
    except BrokenFile:
        batches = []
    if _given_back(batches) == {number: payload.strip() for number, payload in enumerate(payloads, 1)}:
        yield indices, batches
    elif len(numbered) > 1:
        half = len(numbered) // 2
        yield from _read_alike(numbered[:half], head, source)
        yield from _read_alike(numbered[half:], head, source)


def _read_rows(numbered: list[tuple[int, bytes]], source: Source) -> Iterator[tuple[list[int], list[Batch]]]:
    """The same for Parquet files of a row each and one schema, unless they lack a column that is mapped now."""
    joined = parquet_rows.joined([payload for _, payload in numbered])
    with suppress(BrokenFile):
        yield [index for index, _ in numbered], list(READERS[source.format](io.BytesIO(joined), source))


def _given_back(batches: list[Batch]) -> dict[int, bytes]:
    return {
        position: batch.payload(position).strip()
        for batch in batches
        for position in [*batch.frame["position"], *(refusal.position for refusal in batch.refusals)]
    }
