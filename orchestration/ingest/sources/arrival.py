"""What every kind of source hands to the loader, and what it may ask for when it does."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

import psycopg

from orchestration.errors import TidemarkError


@dataclass(frozen=True)
class Arrival:
    """A piece of a source that becomes one load: a file, or what a file grew by, a table's new rows, a stream's batch.

    Its records are read from the bytes that `opened` gives, by the reader of the source's format. A record without an
    id of its own is identified by `root` and its position, which counts on from `skipped`.
    """

    locator: str  # how the ledger names it; never holds a secret
    checksum: str  # SHA-256 of all its bytes: what has the same one was loaded before
    opened: Callable[[], AbstractContextManager[BinaryIO]]
    # Where the source stands once the record at this position was the last; None: all of it had been loaded before.
    # Committed with the load.
    cursor: Callable[[int | None], dict]
    root: str = ""  # 32 or more hexadecimal digits; `checksum`, unless it continues what was loaded before
    skipped: int = 0  # records before its first
    acknowledge: Callable[[], None] = lambda: None  # told when the load, or an earlier one of the same, is committed


# A locator, and what takes that piece in hand: None when there is nothing new in it after all.
Pending = tuple[str, Callable[[], Arrival | None]]


class SourceFailure(TidemarkError):
    """Why a source cannot be read now: one sentence, without a secret. The other sources are read all the same."""


def in_memory(
    locator: str,
    lines: bytes,
    cursor: dict,
    *,
    root: str = "",
    skipped: int = 0,
    acknowledge: Callable[[], None] = lambda: None,
) -> Arrival:
    """An arrival of JSON Lines that are held in memory, with the cursor to commit.

    With `root`, the same lines elsewhere (after another number of `skipped` ones) are another arrival.
    """
    place = f"{root}:{skipped}\n".encode() if root else b""
    checksum = sha256(place + lines).hexdigest()
    return Arrival(locator, checksum, lambda: BytesIO(lines), lambda _: cursor, root, skipped, acknowledge)


def standing_at(connection: psycopg.Connection, name: str, locator: str) -> dict | None:
    """The cursor that the newest load of this locator committed, None before the first."""
    query = "select cursor from raw.cursors where source = %s and locator = %s"
    row = connection.execute(query, [name, locator]).fetchone()
    return row[0] if row else None
