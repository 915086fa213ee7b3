"""What the dialects of JSON events have in common: batches are unfolded, and each record is translated by itself.

A dialect is a function from the fields of a record to native events. Values pass through as the bytes that came, so
that a price keeps every decimal; what has no column stays in the properties under its own name.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, BinaryIO, NamedTuple

import msgspec

from orchestration.ingest.contract import Batch, Reason
from orchestration.ingest.dialects.records import (
    Fields,
    Refused,
    decode_fields,
    decode_list,
    encode,
    in_batches,
    not_json,
    too_large,
    values,
)


@dataclass(frozen=True)
class Dialect:
    """How the records of a dialect are found and translated.

    `translate` turns a record into events, or raises Refused. It is given what `told` describes of the record, all its
    fields as the bytes that came, and the fields of the batch around it. `batch` names the field that holds the records
    of a batch; `strip` takes off what stands around the JSON.
    """

    told: type
    translate: Callable[[Any, Fields, Fields], list["Event"]]
    batch: str | None = None
    strip: Callable[[bytes], bytes] | None = None


class Event(NamedTuple):
    """A native event: texts, and the properties by name, each as JSON bytes or a value that is to become JSON."""

    event_id: str | None
    event_type: str | None
    occurred_at: str | None
    received_at: str | None
    user_id: str | None
    session_id: str | None
    properties: dict[str, Any]


class _Record(NamedTuple):
    payload: bytes  # what the reader reads by itself
    outcome: Event | Refused
    properties: str = ""


def read(stream: BinaryIO, dialect: Dialect) -> Iterator[Batch]:
    """Read JSON in batches. The position of an event is its number, from 1, those of batches counted through."""
    first = 1
    decode = msgspec.json.Decoder(dialect.told).decode
    records = (record for value in values(stream) for record in _unfolded(value, dialect, decode))
    for some in in_batches(records, lambda record: len(record.payload)):
        yield _batch(some, first)
        first += len(some)


def _batch(records: list[_Record], first: int) -> Batch:
    import polars as pl

    events, refusals = [], []
    for position, (_, outcome, properties) in enumerate(records, first):
        if isinstance(outcome, Refused):
            refusals.append(outcome.at(position))
        else:
            events.append((position, *outcome[:-1], properties))
    columns = zip(*events, strict=True) if events else [()] * (len(Event._fields) + 1)
    frame = pl.DataFrame(
        [
            pl.Series(name, column, dtype=pl.String if name in Event._fields else pl.Int64)
            for name, column in zip(("position", *Event._fields), columns, strict=True)
        ]
    )
    return Batch(first, [record.payload for record in records], frame, refusals)


def _unfolded(value: bytes, dialect: Dialect, decode: Callable[[bytes], Any]) -> Iterable[_Record]:
    """The events of a JSON value: an object, an array of them, or a batch; and what of them cannot be read."""
    record = dialect.strip(value) if dialect.strip else value
    try:
        if record.lstrip()[:1] == b"[":
            members = decode_list(record)
            return (one for member in members for one in _translated(bytes(member), bytes(member), {}, dialect, decode))
        if dialect.batch is None or dialect.batch.encode() not in record:
            return _translated(value, record, {}, dialect, decode)
        around = decode_fields(record)
        if bytes(around.get(dialect.batch, b""))[:1] != b"[":
            return _translated(value, record, {}, dialect, decode)
        members = decode_list(around.pop(dialect.batch))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [_Record(value, not_json(record))]
    envelope = encode(around)[:-1] + (b"," if around else b"") + encode(dialect.batch) + b":[", b"]}"
    return (
        one
        for member in members
        for one in _translated(bytes(member).join(envelope), bytes(member), around, dialect, decode)
    )


def _translated(
    payload: bytes, record: bytes, around: Fields, dialect: Dialect, decode: Callable[[bytes], Any]
) -> list[_Record]:
    try:
        if refused := too_large(record):
            raise refused
        fields = decode_fields(record)
        if len(fields) == 2 and "part" in fields and "record" in fields:
            events = _part(fields, dialect, decode)
        else:
            events = dialect.translate(decode(record), fields, around)
        texts = [str(encode(event.properties), "utf-8") for event in events]
    except Refused as refused:
        return [_Record(payload, refused)]
    except msgspec.ValidationError as error:
        return [_Record(payload, _wrong_type(error) or not_json(record))]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [_Record(payload, not_json(record))]
    if len(events) == 1:
        return [_Record(payload, events[0], texts[0])]
    parts = (b'{"part":%d,"record":%b}' % (number, record) for number in range(1, len(events) + 1))
    return list(map(_Record, parts, events, texts))


def _part(fields: Fields, dialect: Dialect, decode: Callable[[bytes], Any]) -> list[Event]:
    """One of the events that a record makes, as only quarantine tells it: by its number, from 1, and the record."""
    number, record = msgspec.json.decode(fields["part"], type=int), fields["record"]
    return dialect.translate(decode(record), decode_fields(record), {})[number - 1 : number]


def _wrong_type(error: msgspec.ValidationError) -> Refused | None:
    """What the parser found in place of what a dialect says of a record; None when that is no object at all."""
    problem, _, place = str(error).partition(" - at `$.")
    expected, _, found = problem.partition(", got ")
    if not place or not found:
        return None
    names = [_KINDS.get(name, name) for name in expected.removeprefix("Expected ").strip("`").split(" | ")]
    kind = next((name for name in names if name != "null"), "null")
    return Refused(Reason.WRONG_TYPE, f"{place.strip('`')}: is {found.strip('`')}, not {kind}")


_KINDS = {"str": "a string", "int": "a number", "decimal": "a number", "object": "an object", "array": "a list"}


def plain(value: str | int | None) -> str | None:
    """An identifier: many number their people, and 17 and "17" are the same; an empty one is none."""
    return None if value is None or value == "" else str(value)


def beside(properties: dict[str, Any], others: Fields, prefix: str) -> dict[str, Any]:
    """Properties, and what stood beside them; a name that they have already, with another value, takes a prefix."""
    if properties.keys().isdisjoint(others):
        return {**others, **properties}
    merged = dict(properties)
    for name, value in others.items():
        if name not in merged:
            merged[name] = value
        elif _bytes(merged[name]) != bytes(value):
            if f"{prefix}_{name}" in merged or f"{prefix}_{name}" in others:
                detail = f"{ascii(name)[:80]}: stands beside the properties and in them, with different values"
                raise Refused(Reason.CONFLICTING_FIELD, detail)
            merged[f"{prefix}_{name}"] = value
    return merged


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, msgspec.Raw) else encode(value)


def remembered(function: Callable[[str], Any]) -> Callable[[str], Any]:
    """The function with a memory for what it was asked: short texts, such as names, which come again and again."""
    known = lru_cache(10_000)(function)
    return wraps(function)(lambda text: known(text) if len(text) < 300 else function(text))


@remembered
def snake(name: str) -> str:
    """A name as the vocabulary writes it: 'Order Completed' and 'orderCompleted' become 'order_completed'."""
    return re.sub(r"[\W_]+", "_", re.sub(r"(?<=[^\W_A-Z])(?=[A-Z])", "_", name)).strip("_").lower()
