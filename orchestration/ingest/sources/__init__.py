"""Where events come from: one module for each kind of source. What stands in them is the dialects' affair."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

from orchestration.errors import TidemarkError
from orchestration.ingest.sources import files
from orchestration.ingest.sources.arrival import Arrival
from orchestration.settings import Source, sources


def named(name: str) -> Source:
    """The source of this name. Raises TidemarkError that lists the known ones."""
    known = sources()
    if name not in known:
        raise TidemarkError(
            f"There is no source {name!r} in config/sources.yml: the known ones are {', '.join(known)}."
        )
    return known[name]


def standing() -> list[str]:
    """The names of the sources that are read without being given files: those that have a watched folder."""
    return [name for name, source in sources().items() if source.path]


def pending(
    connection: psycopg.Connection, name: str, source: Source, paths: Sequence[Path] | None
) -> Iterator[tuple[str, Callable[[], Arrival]]]:
    """What there is to load, one after the other: how the ledger names it, and what takes it in hand.

    Raises TidemarkError when the source has nothing to look at.
    """
    if paths is None and source.path is None:
        raise TidemarkError(f"Source {name!r} has no watched folder: name the files to load.")
    yield from files.pending(connection, name, source, paths)
