"""Looks for personal values in text fields that nobody declared to be personal, and keeps what was found of each field.

A sample of every load is held against validators; what is done with a field is the source's setting `undeclared`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import psycopg

SAMPLE = 200  # events of each type in each load
SHARE = 0.5  # of the values: from here on a field is handled, and not only reported
_ENOUGH_NAMES = 5  # a single value that is also a given name says little

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_TELEPHONE = re.compile(r"\+[\d\s()/.-]{7,25}")
_CARD = re.compile(r"[3-6]\d{3}([ -]?\d{4}){2,3}([ -]?\d{1,3})?")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_NAME = re.compile(r"[^\W\d_]+([ '-][^\W\d_]+){0,3}")
_PLAIN = re.compile(r"[a-z][a-z_-]*[0-9]{0,5}")  # as most values of a vocabulary are: none of the kinds looks like it


def _is_telephone(text: str) -> bool:
    if not _TELEPHONE.fullmatch(text):
        return False
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        return False


def _is_ip(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _is_card(text: str) -> bool:
    """ISO/IEC 7812-1: thirteen to nineteen digits whose last one is Luhn's check digit."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: the number that the letters and digits make, country and check digits last, is 1 modulo 97."""
    compact = text.replace(" ", "")
    if not _IBAN.fullmatch(compact):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and re.split(r"[ '-]", text)[0].casefold() in _given_names()


@cache
def _given_names() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("given_names.txt").read_text(encoding="utf-8").split())


KINDS: dict[str, Callable[[str], bool]] = {
    "mail": lambda text: "@" in text and bool(_MAIL.search(text)),
    "telephone": _is_telephone,
    "ip": _is_ip,
    "card": _is_card,
    "iban": _is_iban,
    "name": lambda text: text[:1].isupper() and _is_name(text),
}


def kind_of(text: str) -> str | None:
    """What personal value a text looks like; None for none. A mail address counts anywhere in it."""
    if _PLAIN.fullmatch(text):
        return None
    stripped = text.strip()
    return next((kind for kind, looks_like in KINDS.items() if looks_like(stripped)), None) if stripped else None


@dataclass(slots=True)
class Suspect:
    """A text field of an event type: how many of its values were looked at, and what they looked like."""

    sampled: int = 0
    hits: Counter = field(default_factory=Counter)  # by kind

    @property
    def is_personal(self) -> bool:
        """Whether its values are personal often enough to be handled as such."""
        sure = {kind: hits for kind, hits in self.hits.items() if kind != "name" or self.sampled >= _ENOUGH_NAMES}
        return sum(sure.values()) >= SHARE * self.sampled


def texts_in(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of a JSON value with their paths, in which lists are none."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from texts_in(inside, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item, path)
    elif isinstance(value, str):
        yield path, value


def known(connection: psycopg.Connection, source: str) -> list[tuple[str, ...]]:
    """The fields of a source that an earlier load found to be personal and that are handled: event type and path."""
    query = """select distinct event_type, field from raw.personal_fields where source = %s and handling <> 'report'"""
    return [(row[0], *row[1].split(".")) for row in connection.execute(query, [source]).fetchall()]


def record(
    connection: psycopg.Connection, source: str, load_id: int, suspects: dict[tuple[str, ...], Suspect], handling: str
) -> None:
    """Keep what a load showed of fields some of whose values look personal."""
    for path, suspect in suspects.items():
        for kind, hits in suspect.hits.items():
            done = handling if suspect.is_personal else "report"
            values = [source, path[0], ".".join(path[1:])[:512], kind, suspect.sampled, hits, done, load_id, load_id]
            connection.execute(
                """insert into raw.personal_fields as stored values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
                   on conflict (source, event_type, field, kind) do update
                   set sampled = stored.sampled + excluded.sampled, hits = stored.hits + excluded.hits,
                       handling = case when stored.handling <> 'report' then stored.handling else excluded.handling end,
                       last_load_id = excluded.last_load_id""",
                values,
            )
