"""Tidemark's own events, one JSON object a line. Records that are plainly events pass through without a second look."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from orchestration.ingest.contract import MAX_RECORD_BYTES, SCHEMA, Batch, Reason, Refusal
from orchestration.ingest.dialects.records import Fields, blocks, decode_fields, encode, lines, not_json, too_large
from orchestration.settings import Source


class _Native(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A native event as it stands on its line. What it requires is the contract's affair, not the parser's."""

    event_id: str | None = None
    event_type: str | None = None
    occurred_at: str | None = None
    received_at: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")  # its bytes: a price keeps every decimal


_TEXTS = SCHEMA[1:-1]
_IDENTIFIERS = ("event_id", "user_id", "session_id")
_decode = msgspec.json.Decoder(_Native).decode


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read native JSON Lines in batches. A record's position is the number of its line, from 1."""
    first = 1
    for some in lines(blocks(stream)):
        yield _batch(some, first)
        first += len(some)


def _batch(lines: list[bytes], first: int) -> Batch:
    import polars as pl

    positions: Sequence[int] = range(first, first + len(lines))
    refusals: list[Refusal] = []
    try:
        events = list(map(_decode, lines))
        properties = [_text(event) for event in events]
        is_plain = max(map(len, lines)) <= MAX_RECORD_BYTES
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        is_plain = False
    if not is_plain:
        found = {position: _look(line, position) for position, line in enumerate(lines, first)}
        refusals = [refusal for refusal in found.values() if isinstance(refusal, Refusal)]
        positions = [position for position, event in found.items() if isinstance(event, _Native)]
        events = [found[position] for position in positions]
        properties = [_text(event) for event in events]
    frame = pl.DataFrame(
        [
            pl.Series("position", positions, dtype=pl.Int64),
            *(pl.Series(name, [getattr(event, name) for event in events], dtype=pl.String) for name in _TEXTS),
            pl.Series("properties", properties, dtype=pl.String),
        ]
    )
    return Batch(first, lines, frame, refusals)


def _text(event: _Native) -> str:
    said = str(event.properties, "utf-8")  # the parser skips over these bytes: here they are looked at
    return "{}" if said == "null" else said


def _look(line: bytes, position: int) -> _Native | Refusal | None:
    if refused := too_large(line):
        return refused.at(position)
    try:
        event = _decode(line)
        _text(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _second_look(line, position)
    return event


def _second_look(line: bytes, position: int) -> _Native | Refusal | None:
    """What a line is that is not plainly an event: one with fields of its own, a blank, or what exactly is wrong."""
    if not line.strip():
        return None
    try:
        line.decode()
        fields = decode_fields(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return not_json(line).at(position)
    known = {name: fields.pop(name) for name in (*_TEXTS, "properties") if name in fields}
    return _with_own_fields(known, fields, position)


def _with_own_fields(known: Fields, own: Fields, position: int) -> _Native | Refusal:
    """An event whose unknown fields are kept among its properties."""
    texts = {}
    for name in _TEXTS:
        try:
            # Many number their people: 17 and "17" are the same identifier.
            kind = str | int | None if name in _IDENTIFIERS else str | None
            value = msgspec.json.decode(known.pop(name, b"null"), type=kind)
            texts[name] = value if value is None else str(value)
        except msgspec.ValidationError as error:
            found = str(error).rpartition("got ")[2].strip("`")
            return Refusal(position, Reason.WRONG_TYPE, f"{name}: is {found}, not a string")
    properties = known.get("properties", msgspec.Raw(b"{}"))
    if own:
        try:
            inside = decode_fields(properties) if bytes(properties) != b"null" else {}
        except msgspec.ValidationError:
            return Refusal(position, Reason.WRONG_TYPE, "properties: is not an object")
        for name in own.keys() & inside.keys():
            if bytes(own[name]) != bytes(inside[name]):
                detail = f"{ascii(name)[:80]}: stands beside the properties and in them, with different values"
                return Refusal(position, Reason.CONFLICTING_FIELD, detail)
        properties = msgspec.Raw(encode(own | inside))
    return _Native(**texts, properties=properties)
