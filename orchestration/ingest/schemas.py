"""Holds the properties of events against the JSON Schemas of the contract, and sees which fields they have.

What every event must have, whatever its type, is in `contract`; what is done with personal values is in `personal`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError

from orchestration.ingest.contract import Reason, Refusal
from orchestration.ingest.personal import Personal
from orchestration.ingest.undeclared import SAMPLE, Suspect, kind_of, texts_in
from orchestration.settings import Contract, Handling, contract, settings

if TYPE_CHECKING:
    import polars as pl

MAX_FIELD_BYTES = 512  # of a field's path: longer ones are stored, and not followed
MAX_FIELDS = 1_000  # of an event type: more would be objects that are keyed by what should be a value
_REMEMBERED_SHAPES, _REMEMBERED_FIELDS = 2_000, 200  # the latter of a shape
_JSON_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", list: "array", dict: "object"}
_SAID = {"null": "null"} | {name: f"a{'n' * (name[0] in 'aio')} {name}" for name in (*_JSON_TYPES.values(), "integer")}

_decode = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Seen:
    """How many records had a field, and the oldest and newest of their times, in microseconds since 1970."""

    records: int
    first_us: int
    last_us: int


Field = tuple[str, str]  # (path, JSON type); the path is empty for the event itself
FieldsSeen = dict[str, dict[Field, Seen]]  # by event type


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the properties of some events have in common: their names and the types of their values."""

    number: int
    event_type: str
    fields: tuple[Field, ...]  # a null is none
    is_personal: bool  # somewhere
    only_pseudonym: str | None  # where that is the one thing to do: its name, at the top


class Judge:
    """The contract at work on one load. It remembers which fields the records had."""

    def __init__(
        self,
        terms: Contract,
        key: bytes,
        undeclared: Literal["mask", "drop", "report"] = "report",
        known: Iterable[tuple[str, ...]] = (),
    ):
        self.event_types = frozenset(terms.events)
        self.personal = Personal(terms.personal, key)
        self.seen: FieldsSeen = {}
        self.undeclared = undeclared
        self.suspects: dict[tuple[str, ...], Suspect] = {}  # by event type and path
        self._sampled: Counter[str] = Counter()  # events, by their type
        self._handled = set(known) if undeclared != "report" else set()
        for path in self._handled:
            self.personal.add(path, undeclared)
        # A detail never shows a value: nobody knows what stands where something else should.
        self._validators = {
            name: Draft202012Validator(schema, mask="the value", offline=True) for name, schema in terms.events.items()
        }
        self._shapes: dict[tuple, _Shape | None] = {}
        self._numbers = count()

    def judged(self, events: "pl.DataFrame") -> tuple["pl.DataFrame", list[Refusal]]:
        """Split events into those whose properties keep to the contract, without personal values, and refusals."""
        import polars as pl

        validators = {name: validator.is_valid for name, validator in self._validators.items()}
        known_shapes, pseudonym = self._shapes.get, self.personal.pseudonyms.of
        refusals: list[Refusal] = []
        shapes, kept = [], []
        types, texts = events["event_type"].to_list(), events["properties"].to_list()
        self._look(types, texts)
        for index, (event_type, text) in enumerate(zip(types, texts, strict=True)):
            properties = _decode(text)
            is_valid = validators.get(event_type)
            if is_valid is not None and not is_valid(properties):
                refusals.append(Refusal(events["position"][index], *self._problem(event_type, properties)))
            shape = known_shapes((event_type, *properties, *map(type, properties.values())))
            if shape is None:
                shape = self._shape(event_type, properties)
            shapes.append(shape)
            if shape.is_personal:
                value = properties.get(shape.only_pseudonym)
                # Where nothing is escaped, the value stands there to the letter; and if only once, it is this one.
                if type(value) is str and "\\" not in text and text.count(quoted := f'"{value}"') == 1:
                    text = text.replace(quoted, f'"{pseudonym(value)}"')
                else:
                    text = self.personal.kept((event_type,), text).decode()
            kept.append(text)
        self._remember(shapes, events["occurred_at"])
        columns = {name: self.personal.column(name, events[name]) for name in ("event_id", "user_id", "session_id")}
        events = events.with_columns(pl.Series("properties", kept, dtype=pl.String), **columns)
        if refusals:
            events = events.filter(~pl.col("position").is_in([refusal.position for refusal in refusals]))
        return events, refusals

    def _look(self, types: list[str], texts: list[str]) -> None:
        """Sample what nobody declared to be personal; handle it from here on where it is and the source says so."""
        for event_type, text in zip(types, texts, strict=True):
            if self._sampled[event_type] >= SAMPLE:
                continue
            self._sampled[event_type] += 1
            for path, value in texts_in(_decode(text), (event_type,)):
                if path in self._handled:
                    continue
                suspect = self.suspects.get(path)
                if suspect is None:
                    if self._is_declared(path):
                        continue
                    suspect = self.suspects[path] = Suspect()
                suspect.sampled += 1
                if kind := kind_of(value):
                    suspect.hits[kind] += 1
        if self.undeclared == "report":
            return
        for path, suspect in self.suspects.items():
            if path not in self._handled and suspect.hits and suspect.is_personal:
                self.personal.add(path, self.undeclared)
                self._handled.add(path)
                self._shapes.clear()

    def _is_declared(self, path: tuple[str, ...]) -> bool:
        return any(self.personal.handling(path[:end]) for end in range(2, len(path) + 1))

    def _shape(self, event_type: str, properties: dict[str, Any]) -> _Shape:
        """The shape of properties that are not known by the names and types at their top alone."""
        top = (event_type, *properties, *map(type, properties.values()))
        is_flat = dict not in top and list not in top
        key = top if is_flat else (event_type, _deep(properties))
        shape = self._shapes.get(key)
        if shape is None:
            handlings = list(self._handlings((event_type,), properties))
            shape = _Shape(
                next(self._numbers),
                event_type,
                tuple(self._fields(event_type, properties)),
                bool(handlings),
                handlings[0][0] if is_flat and [how for _, how in handlings] == ["pseudonym"] else None,
            )
            if len(self._shapes) >= _REMEMBERED_SHAPES:
                self._shapes.clear()
            if len(shape.fields) <= _REMEMBERED_FIELDS:
                self._shapes[key] = shape
        return shape

    def _fields(self, event_type: str, properties: dict[str, Any]) -> Iterator[Field]:
        """The event, its properties, and what is in the objects among them, unless that is personal to the names."""
        yield "", "object"
        for name, value in properties.items():
            is_open = isinstance(value, dict) and self.personal.handling((event_type, name)) is None
            inside = value.items() if is_open else ()
            for path, one in [(name, value), *((f"{name}.{inner}", one) for inner, one in inside)]:
                if one is not None and len(path.encode()) <= MAX_FIELD_BYTES:
                    yield path, _JSON_TYPES[type(one)]

    def _handlings(self, path: tuple[str, ...], value: object) -> Iterator[tuple[str, Handling]]:
        """The personal fields of an object or a list, and how they are to be kept."""
        if isinstance(value, list):
            for item in value:
                yield from self._handlings(path, item)
        elif isinstance(value, dict):
            for name, inside in value.items():
                if how := self.personal.handling((*path, name)):
                    yield name, how
                else:
                    yield from self._handlings((*path, name), inside)

    def _problem(self, event_type: str, properties: dict[str, Any]) -> tuple[Reason, str]:
        error = next(self._validators[event_type].iter_errors(properties))
        where = ".".join(["properties", *map(str, error.instance_path)])
        reason, problem = _said(error, properties)
        return reason, f"{ascii(where)[1:-1][:150]}{problem}"

    def _remember(self, shapes: list[_Shape], times: "pl.Series") -> None:
        import polars as pl

        records = pl.DataFrame({"number": [shape.number for shape in shapes], "us": times})
        by_number = {shape.number: shape for shape in shapes}
        us = pl.col("us")
        spans = records.group_by("number").agg(pl.len(), us.min().alias("first"), us.max().alias("last"))
        for number, records_of_it, first, last in spans.iter_rows():
            shape = by_number[number]
            fields = self.seen.setdefault(shape.event_type, {})
            for field in shape.fields:
                if seen := fields.get(field):
                    seen.records += records_of_it
                    seen.first_us, seen.last_us = min(seen.first_us, first), max(seen.last_us, last)
                elif len(fields) < MAX_FIELDS:
                    fields[field] = Seen(records_of_it, first, last)


def judge(undeclared: Literal["mask", "drop", "report"] = "report", known: Iterable[tuple[str, ...]] = ()) -> Judge:
    """The contract of `config/contract.yml` under this process's key, for one load. Raises TidemarkError.

    `undeclared` is what becomes of personal fields that it does not name, of which `known` are known.
    """
    return Judge(contract(), settings().key, undeclared, known)


def _deep(value: object) -> object:
    """Names and types all the way down; of a list, those of its items, in whatever number and order."""
    if isinstance(value, dict):
        return (*value, *map(_deep, value.values()))
    if isinstance(value, list):
        return frozenset(map(_deep, value))
    return type(value)


def _said(error: ValidationError, properties: dict[str, Any]) -> tuple[Reason, str]:
    """The reason of an error, and what comes after the path of the value that has it."""
    if error.kind.name == "required":
        return Reason.MISSING_FIELD, f".{ascii(error.kind.property)[1:-1][:100]}: is missing"
    if error.kind.name == "type":
        value: Any = properties
        for part in error.instance_path:
            value = value[part]
        found = _SAID[_JSON_TYPES.get(type(value), "null")]
        wanted = [_SAID[name] for name in sorted(error.kind.types, key="null".__eq__)]
        return Reason.WRONG_TYPE, f": is {found}, not {' or '.join(wanted)}"
    if error.kind.name in ("additionalProperties", "unevaluatedProperties"):
        names = ", ".join(ascii(name)[:80] for name in error.kind.unexpected[:3])
        return Reason.UNKNOWN_FIELD, f": has {names}, which the contract does not name"
    return Reason.INVALID_VALUE, f": {' '.join(error.message.split())[:200]}"
