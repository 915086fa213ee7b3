"""Keeps personal values out of storage: pseudonyms, masks, sealed bytes. Which are personal is the contract's affair.

The keys are made from `TIDEMARK_SECRET_KEY`: who has it can open what is sealed, and find the pseudonym of a value.
"""

import hmac
import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from orchestration.errors import TidemarkError
from orchestration.settings import Handling, settings

if TYPE_CHECKING:
    import polars as pl

MASK = "[masked]"
PREFIX = "pn_"
_PSEUDONYM = re.compile(rf"{PREFIX}[0-9a-f]{{20}}")
_SEALED = b"\x00sealed\x01"  # then 12 bytes of nonce, and what AES-256-GCM makes of the bytes
_REMEMBERED = 100_000  # pseudonyms: who appears once mostly appears again

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_as_is = msgspec.json.Encoder().encode


def sealed(payload: bytes, key: bytes | None = None) -> bytes:
    """The payload, encrypted and signed: nobody reads it in the database, and nobody changes it.

    The key is that of the settings; who seals many payloads gives it, for looking it up takes a millisecond.
    """
    nonce = os.urandom(12)
    return _SEALED + nonce + _cipher(key or settings().key).encrypt(nonce, payload, None)


def opened(payload: bytes, key: bytes | None = None) -> bytes:
    """The bytes that were sealed. What was stored before payloads were sealed, and what was emptied, is as it is.

    The key is as for `sealed`. Raises TidemarkError when they were sealed with another key, or changed since.
    """
    from cryptography.exceptions import InvalidTag

    if not payload.startswith(_SEALED):
        return payload
    start = len(_SEALED)
    try:
        return _cipher(key or settings().key).decrypt(payload[start : start + 12], payload[start + 12 :], None)
    except (InvalidTag, ValueError):
        raise TidemarkError(
            "The payload of this quarantined record was sealed with another key: set TIDEMARK_SECRET_KEY, or "
            "secret.key in TIDEMARK_HOME, to what it was when the record came."
        ) from None


@cache
def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(key, b"quarantined payloads", "sha256"))


class Pseudonyms:
    """The pseudonyms under a key: the same value has the same one, in whichever dialect, field and load it comes."""

    def __init__(self, key: bytes):
        self._key = hmac.digest(key, b"pseudonyms", "sha256")
        self._known: dict[str, str] = {}

    def of(self, value: str) -> str:
        """`pn_` and 20 hexadecimal digits of HMAC-SHA256 (RFC 2104). A pseudonym is its own.

        `mailto:` and the case do not count, so that an xAPI mailbox and an address in a form are the same.
        """
        found = self._known.get(value)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[value] = self._computed(value)
        return found

    def _computed(self, value: str) -> str:
        if _PSEUDONYM.fullmatch(value):
            return value
        text = value.strip().casefold().removeprefix("mailto:")
        return PREFIX + hmac.digest(self._key, text.encode(), "sha256").hex()[:20]


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
