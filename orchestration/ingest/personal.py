"""Keeps personal values out of storage: pseudonyms and masks. Which are personal is the contract's affair."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from orchestration.settings import Handling
from orchestration.warehouse.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    import polars as pl

MASK = "[masked]"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_as_is = msgspec.json.Encoder().encode


class Personal:
    """What the contract calls personal, and what becomes of it."""

    def __init__(self, handling: dict[str, Handling], key: bytes):
        self._rules: dict[str, list[tuple[tuple[str, ...], Handling]]] = {}
        for place, how in handling.items():
            *parents, name = map(_plain, place.split("."))
            self._rules.setdefault(name, []).append((tuple(parents), how))
        for rules in self._rules.values():
            rules.sort(key=lambda rule: -len(rule[0]))  # the longest path says it
        self.pseudonyms = Pseudonyms(key)

    def add(self, path: tuple[str, ...], how: Handling) -> None:
        """Have the field at a path, which begins with the event type, be personal, too."""
        *parents, name = map(_plain, path)
        rules = self._rules.setdefault(name, [])
        rules.append((tuple(parents), how))
        rules.sort(key=lambda rule: -len(rule[0]))

    def handling(self, path: Sequence[str]) -> Handling | None:
        """How the field at a path is to be kept, which begins with the event type; None for what is not personal."""
        for parents, how in self._rules.get(_plain(path[-1]), ()):
            if tuple(map(_plain, path[-1 - len(parents) : -1])) == parents:
                return how
        return None

    def column(self, name: str, values: "pl.Series") -> "pl.Series":
        """An identifier of the events, kept as the contract says."""
        import polars as pl

        how = self.handling((name,))
        if how is None:
            return values
        if how != "pseudonym":
            return pl.select(pl.when(values.is_not_null()).then(pl.lit(None if how == "drop" else MASK))).to_series()
        distinct = values.drop_nulls().unique()
        return values.replace(distinct, pl.Series([self.pseudonyms.of(value) for value in distinct], dtype=pl.String))

    def kept(self, path: tuple[str, ...], raw: msgspec.Raw | str) -> bytes:
        """The JSON of an object or a list at a path, without its personal values; all else keeps its bytes."""
        if _first(raw) == b"[":
            items = [self._kept_inside(path, item) for item in _decode_items(raw)]
            return _encode_as_is(items)
        fields = _decode_fields(raw)
        for name, value in list(fields.items()):
            here = (*path, name)
            how = self.handling(here)
            if how is None:
                fields[name] = self._kept_inside(here, value)
            elif how == "drop":
                del fields[name]
            else:
                fields[name] = self.replaced(how, value)
        return _encode_as_is(fields)

    def _kept_inside(self, path: tuple[str, ...], raw: msgspec.Raw) -> msgspec.Raw:
        return msgspec.Raw(self.kept(path, raw)) if _first(raw) in (b"{", b"[") else raw

    def replaced(self, how: Handling, raw: msgspec.Raw) -> Any:
        """What stands in place of a personal value. Of a list it is each item; an object has one pseudonym."""
        first = _first(raw)
        if first == b"n":
            return None
        if first == b"[":
            return [self.replaced(how, item) for item in _decode_items(raw)]
        if how == "mask":
            return MASK
        if first == b'"':
            return self.pseudonyms.of(msgspec.json.decode(raw))
        if first == b"{":
            return self.pseudonyms.of(_encode(_decode_fields(raw)).decode())
        return self.pseudonyms.of(bytes(raw).decode())


def _first(raw: msgspec.Raw | str) -> bytes:
    return raw[:1].encode() if isinstance(raw, str) else bytes(raw)[:1]


def _plain(name: str) -> str:
    """Names that differ in case and underscores only are the same: firstName, first_name, First-Name."""
    return _remembered(name) if len(name) <= 100 else name


@lru_cache(10_000)
def _remembered(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()
