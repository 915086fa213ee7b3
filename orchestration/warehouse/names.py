"""Finding people by their names in values and texts: by the names themselves, or by keyed hashes of them.

A name is whatever a person is known by: a user_id, a mail address, a pseudonym. One that is long enough to be nobody
else's (`is_distinctive`) is found anywhere in a text, in whichever case, where neither a letter nor a digit stands
beside it. A shorter one, such as `u1` or `17`, is only known where people are named: as a whole value.
"""

import hmac
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Protocol

import msgspec
import psycopg

from orchestration.settings import settings
from orchestration.warehouse.pseudonyms import Pseudonyms

ERASED = "[erased]"
_SHORTEST = 6  # of distinctive names, which are not mere numbers either

# Fields and columns whose values name a person, in the spelling of `plain`.
OF_PEOPLE = frozenset(
    [
        *("user", "userid", "uniqueid", "anonymousid", "person", "personid", "actor", "actorid", "author", "authorid"),
        *("learner", "learnerid", "student", "studentid", "member", "memberid", "customer", "customerid"),
        *("buyer", "buyerid", "host", "entityid", "subjectid"),  # of rooms, scores and recommendations
        *("seller", "sellerid", "owner", "recipient", "receiver", "login", "username", "email", "mbox"),
    ]
)


def plain(field: str) -> str:
    """user_id, userId and User-Id are one field."""
    return re.sub(r"[\s_-]", "", field).casefold()


def is_of_people(column: str) -> bool:
    """Whether a column names people, each (`user_id`) or several (`user_ids`), or what is theirs alone."""
    return plain(column.replace("_ids", "_id")) in OF_PEOPLE or column == "session_id"


def is_distinctive(name: str) -> bool:
    return len(name) >= _SHORTEST and not name.isdecimal()


def normal(name: str) -> str:
    """A name as it is compared: distinctive ones without case and `mailto:`, others to the letter."""
    text = name.strip()
    return text.casefold().removeprefix("mailto:") if is_distinctive(text) else text


def forms(given: Iterable[str]) -> list[str]:
    """The names of a person as they may stand in the warehouse: as they were given, and their pseudonyms."""
    names = [normal(name) for name in given]
    pseudonyms = Pseudonyms(settings().key)
    return list(dict.fromkeys([*names, *(pseudonyms.of(name) for name in names)]))


class Names(Protocol):
    """What a search asks: whether a value is a name, and which names stand in a text."""

    # LIKE patterns, one of which every lower-case text matches in which a name stands; None where it is unknown.
    likes: list[str] | None

    def is_one(self, value: str) -> bool: ...

    def spans(self, text: str) -> Iterator[tuple[int, int]]: ...


class KnownNames:
    """The names of a person, in the form of `normal`."""

    def __init__(self, names: Iterable[str]):
        self.names = frozenset(names)
        distinctive = sorted(filter(is_distinctive, self.names), key=len, reverse=True)
        written = [form for name in distinctive for form in dict.fromkeys([name, json.dumps(name)[1:-1]])]
        self._pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, written))})(?![^\W_])", re.IGNORECASE)
        self._finds = bool(written)
        self.whole = [_literal(name.lower()) for name in self.names]  # likewise, of values that are a name
        short = [name for name in self.names if not is_distinctive(name)]
        self.likes = [f"%{_literal(text)}%" for text in written] + [f'%"{_literal(name.lower())}"%' for name in short]
        self.likes += [f"%: {name}%" for name in short if name.isdecimal()]  # a number in JSON

    def is_one(self, value: str) -> bool:
        return normal(value) in self.names

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        if self._finds:
            yield from (found.span() for found in self._pattern.finditer(text))


class HashedNames:
    """Names of which only keyed hashes and lengths are known: in texts, every place of such a length is tried."""

    def __init__(self, hashes: dict[bytes, int], key: bytes):
        self.likes = None
        self._hashes, self._key = frozenset(hashes), key
        self._lengths = sorted(set(hashes.values()))
        self._windows = [
            re.compile(rf"(?<![^\W_])(?=(.{{{length}}})(?![^\W_]))", re.DOTALL)
            for length in self._lengths
            if length >= _SHORTEST
        ]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def is_one(self, value: str) -> bool:
        name = normal(value)
        return len(name) in self._lengths and hashed(name, self._key) in self._hashes

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        for window in self._windows:
            for found in window.finditer(text):
                if is_distinctive(found[1]) and self._is_known(found[1]):
                    yield found.span(1)

    def _is_known(self, word: str) -> bool:
        known = self._known.get(word)
        if known is None:
            if len(self._known) > 1_000_000:
                self._known.clear()
            known = self._known[word] = hashed(word.casefold(), self._key) in self._hashes
        return known


def _literal(text: str) -> str:
    """Part of a LIKE pattern. What is not ASCII may be anything: lower() of the database leaves it as it is."""
    return re.sub(r"[^\x00-\x7f]+", "%", re.sub(r"([\\%_])", r"\\\1", text))


def hash_key() -> bytes:
    return hmac.digest(settings().key, b"suppressed names", "sha256")


def hashed(name: str, key: bytes) -> bytes:
    """16 bytes that only the holder of the key can compute from a name in its normal form."""
    return blake2b(name.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()


def suppressed(connection: psycopg.Connection) -> HashedNames:
    """The names of those who were erased: nothing of them is stored again."""
    query = "select hash, length from ops.suppressed"
    return HashedNames({bytes(row[0]): row[1] for row in connection.execute(query).fetchall()}, hash_key())


# In values ----------------------------------------------------------------------------------------------------------


def masked(names: Names, text: str) -> str:
    """A text with `ERASED` in place of each name."""
    parts, end = [], 0
    for start, stop in sorted(names.spans(text)):
        if start >= end:
            parts += [text[end:start], ERASED]
            end = stop
    return "".join([*parts, text[end:]]) if parts else text


def found_in(names: Names, value: object, field: str = "") -> set[str]:
    """The names in a JSON value, keys and texts, as they stand there."""
    if isinstance(value, dict):
        return set().union(*(found_in(names, key) | found_in(names, inner, key) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(found_in(names, item, field) for item in value))
    if not isinstance(value, str):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return {str(value)} if is_number and plain(field) in OF_PEOPLE and names.is_one(str(value)) else set()
    found = {value[start:stop] for start, stop in names.spans(value)}
    return found or ({value} if plain(field) in OF_PEOPLE and names.is_one(value) else set())


def masked_in(names: Names, value: object, field: str = "") -> object:
    """A JSON value with `ERASED` in place of each name."""
    if isinstance(value, dict):
        return {masked(names, key): masked_in(names, inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked_in(names, item, field) for item in value]
    if (
        plain(field) in OF_PEOPLE
        and not isinstance(value, bool | float)
        and value is not None
        and names.is_one(str(value))
    ):
        return ERASED
    return masked(names, value) if isinstance(value, str) else value


def masked_json(names: Names, text: str) -> str:
    """A JSON text with `ERASED` in place of each name, and every number as it was written."""
    value = msgspec.json.Decoder(float_hook=Decimal).decode(text)
    return msgspec.json.Encoder(decimal_format="number").encode(masked_in(names, value)).decode()


def people_in(value: object, field: str = "") -> Iterator[str]:
    """The values of a JSON value that name people by their fields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from people_in(inner, key)
    elif isinstance(value, list):
        for item in value:
            yield from people_in(item, field)
    elif isinstance(value, str | int) and not isinstance(value, bool) and plain(field) in OF_PEOPLE:
        yield str(value)
