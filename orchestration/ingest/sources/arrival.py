"""What every kind of source hands to the loader."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Arrival:
    """A piece of a source that becomes one load: a file, or what a file grew by, a table's new rows, a stream's batch.

    Its records are read from the bytes that `opened` gives, by the reader of the source's format. A record without an
    id of its own is identified by `root` and its position, which counts on from `skipped`.
    """

    locator: str  # how the ledger names it
    checksum: str  # SHA-256 of all its bytes: what has the same one was loaded before
    opened: Callable[[], AbstractContextManager[BinaryIO]]
    cursor: Callable[[int], dict]  # where the source stands once so many records were read; committed with the load
    root: str = ""  # `checksum`, unless it continues what was loaded before
    skipped: int = 0  # records before its first
    acknowledge: Callable[[], None] = lambda: None  # told when the load is committed
