"""The languages in which a line of JSON can tell of an event, each brought to the columns of the contract."""

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from orchestration.ingest import tables
from orchestration.ingest.contract import MAX_LINE_BYTES, MAX_RECORD_BYTES, SCHEMA, Batch, BrokenFile, Reason, Refusal
from orchestration.settings import Source

BLOCK_BYTES = 8 * 1024 * 1024


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
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def native(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read native JSON Lines in batches. A record's position is the number of its line, from 1."""
    first = 1
    for lines in _lines(stream):
        yield _batch(lines, first)
        first += len(lines)


def _lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream, without their ends, some megabytes at a time."""
    started: list[bytes] = []  # the pieces of a line whose end has not come yet
    block = stream.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
    while block:
        whole, end, rest = block.rpartition(b"\n")
        if end:
            yield b"".join([*started, whole]).split(b"\n")
            started = []
        started.append(rest)
        if sum(map(len, started)) > MAX_LINE_BYTES:
            raise BrokenFile(f"has a line longer than {MAX_LINE_BYTES >> 20} MiB: give a file of JSON Lines.")
        block = stream.read(BLOCK_BYTES)
    if last := b"".join(started):
        yield [last]


def _batch(lines: list[bytes], first: int) -> Batch:
    import polars as pl

    positions, events, properties, refusals = [], [], [], []
    for position, line in enumerate(lines, first):
        try:
            event = _decode(line)
            said = str(event.properties, "utf-8")  # the parser skips over these bytes: here they are looked at
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            event = _second_look(line, position)
            said = str(event.properties, "utf-8") if isinstance(event, _Native) else ""
        if len(line) > MAX_RECORD_BYTES:
            detail = f"the record has {len(line)} bytes, and more than {MAX_RECORD_BYTES} are not taken"
            event = Refusal(position, Reason.VALUE_TOO_LARGE, detail)
        if isinstance(event, _Native):
            positions.append(position)
            events.append(event)
            properties.append("{}" if said == "null" else said)
        elif event is not None:
            refusals.append(event)
    frame = pl.DataFrame(
        [
            pl.Series("position", positions, dtype=pl.Int64),
            *(pl.Series(name, [getattr(event, name) for event in events], dtype=pl.String) for name in _TEXTS),
            pl.Series("properties", properties, dtype=pl.String),
        ]
    )
    return Batch(first, lines, frame, refusals)


def _second_look(line: bytes, position: int) -> _Native | Refusal | None:
    """What a line is that is not plainly an event: one with fields of its own, a blank, or what exactly is wrong."""
    if not line.strip():
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Refusal(position, Reason.INVALID_UTF8, f"byte {error.start + 1} of the record is not valid UTF-8")
    try:
        fields = _decode_fields(line)
        known = {name: fields.pop(name) for name in (*_TEXTS, "properties") if name in fields}
        return _with_own_fields(known, fields, position)
    except msgspec.ValidationError:
        return Refusal(position, Reason.NOT_AN_OBJECT, "the record is JSON, but not an object")
    except RecursionError:
        return Refusal(position, Reason.NESTED_TOO_DEEPLY, "the record is nested too deeply to be read")
    except msgspec.DecodeError as error:
        if _has_lone_surrogate(text):
            return Refusal(position, Reason.INVALID_TEXT, "a text has half of a surrogate pair, which is no character")
        return Refusal(position, Reason.INVALID_JSON, str(error))


def _with_own_fields(known: dict, own: dict, position: int) -> _Native | Refusal:
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
            inside = _decode_fields(properties) if bytes(properties) != b"null" else {}
        except msgspec.ValidationError:
            return Refusal(position, Reason.WRONG_TYPE, "properties: is not an object")
        for name in own.keys() & inside.keys():
            if bytes(own[name]) != bytes(inside[name]):
                detail = f"{ascii(name)[:80]}: stands beside the properties and in them, with different values"
                return Refusal(position, Reason.CONFLICTING_FIELD, detail)
        properties = msgspec.Raw(_encode(own | inside))
    return _Native(**texts, properties=properties)


def _has_lone_surrogate(text: str) -> bool:
    """Whether that is all that is wrong with a JSON text: it reads, but what it says cannot be encoded."""

    def refuse(token: str) -> None:
        raise ValueError(token)

    try:
        json.dumps(json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


READERS = {"native": native, "csv": tables.rows}
