"""JSON records of any shape, through the mapping of their source: JSON Lines, arrays, documents of several lines."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import Batch, Reason
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.columns import FIELDS, WRITTEN_AS, mapped_columns, with_times
from orchestration.ingest.dialects.records import Fields, Refused, decode_fields, decode_value
from orchestration.ingest.dialects.translation import Dialect, Event, snake
from orchestration.settings import Column, Source

_decode_text = msgspec.json.Decoder(str).decode
_IS_WRITTEN_AS = {kind: re.compile(pattern).fullmatch for kind, pattern in WRITTEN_AS.items()}
_KINDS = {b"{": "an object", b"[": "a list"}
_Inside = dict[str, Fields]  # the objects of a record that were read already, by their path


class _Anything(msgspec.Struct, gc=False):
    """An object: nothing of it is known but by the mapping."""


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read JSON records in batches. A record's position is its number, from 1."""
    mapping = source.mapping
    fields = [_field(getattr(mapping, name)) for name in FIELDS]
    properties = [(name, _property(column)) for name, column in mapping.properties.items()]
    taken = frozenset(name for column in mapped_columns(mapping) for name in column.column)

    def translate(_: _Anything, record: Fields, __: Fields) -> list[Event]:
        inside: _Inside = {}
        kept: dict[str, Any] = {name: value for name, value in record.items() if name not in taken}
        for name, property_of in properties:
            if (value := property_of(record, inside)) is not None:
                kept[name] = value
        return [Event(*[field_of(record, inside) for field_of in fields], properties=kept)]

    for batch in translation.read(stream, Dialect(_Anything, translate)):
        yield replace(batch, frame=with_times(batch.frame, mapping))


def _field(column: Column | None) -> Callable[[Fields, _Inside], str | None]:
    """What gives the text of a column of the contract."""
    if column is None or column.value is not None:
        constant = column and _converted(column.value, column)
        return lambda record, inside: constant
    found, is_plain = _finder(column.column), column.type in (None, "string") and not column.slug

    def field_of(record: Fields, inside: _Inside) -> str | None:
        raw = found(record, inside)
        if raw is None:
            return None
        if kind := _KINDS.get(raw[:1]):
            raise Refused(Reason.WRONG_TYPE, f"{' or '.join(column.column)}: is {kind}, not a text")
        text = _decode_text(raw) if raw[:1] == b'"' else raw.decode()
        return text if is_plain else _converted(text, column)

    return field_of


def _property(column: Column) -> Callable[[Fields, _Inside], Any]:
    """What gives the value of a property: as it is in the record, unless the mapping gives a type."""
    if column.value is not None:
        constant = _typed(column.value, column)
        return lambda record, inside: constant
    found, is_plain = _finder(column.column), column.type is None and not column.slug

    def property_of(record: Fields, inside: _Inside) -> Any:
        raw = found(record, inside)
        if raw is None:
            return None
        if is_plain or raw[:1] in _KINDS:
            return msgspec.Raw(raw)
        return _typed(_decode_text(raw) if raw[:1] == b'"' else raw.decode(), column)

    return property_of


def _typed(text: str, column: Column) -> Any:
    value = _converted(text, column)
    return value if column.type in (None, "string") else msgspec.Raw(value.encode())


def _converted(text: str, column: Column) -> str:
    """A text as its mapping wants it. Raises Refused when it is not of the declared type."""
    if column.slug:
        text = snake(text)
    if column.type in (None, "string"):
        return text
    if not (_is_json(text) if column.type == "json" else _IS_WRITTEN_AS[column.type](text)):
        kind = "JSON" if column.type == "json" else f"a JSON {column.type}"
        raise Refused(Reason.WRONG_TYPE, f"{' or '.join(column.column or ['value'])}: is not written as {kind}")
    if column.type == "integer":
        return text.partition(".")[0]  # 17850.0: an integer that passed through a float
    return text.lower() if column.type == "boolean" else text


def _is_json(text: str) -> bool:
    try:
        decode_value(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _finder(names: list[str]) -> Callable[[Fields, _Inside], bytes | None]:
    """What gives the bytes of the first of these names that has a value."""
    paths = [(name, name.split(".")) for name in names]

    def found(record: Fields, inside: _Inside) -> bytes | None:
        for name, parts in paths:
            raw = record.get(name)
            if raw is None and len(parts) > 1:
                raw = _at(record, parts, "", inside)
            if raw is not None and (value := bytes(raw)) != b"null" and value != b'""':
                return value
        return None

    return found


def _at(fields: Fields, parts: list[str], path: str, inside: _Inside) -> msgspec.Raw | None:
    """What stands at a path. Each object on the way is read once for a record; `inside` remembers it."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        raw = fields.get(key)
        if raw is None:
            continue
        if length == len(parts):
            return raw
        where = f"{path}{key}."
        if where not in inside:
            inside[where] = decode_fields(raw) if bytes(raw)[:1] == b"{" else {}
        if (found := _at(inside[where], parts[length:], where, inside)) is not None:
            return found
    return None
