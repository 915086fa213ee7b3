"""Where events come from: one module for each kind of source. What stands in them is the dialects' affair."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import psycopg

from orchestration.errors import TidemarkError
from orchestration.ingest.sources import files
from orchestration.ingest.sources.arrival import Pending
from orchestration.settings import Source, sources

# The module of each kind has `pending(connection, name, source)`. It looks at what the source has now, gives it in
# pieces of bounded size, each when the one before is committed, and ends; SourceFailure says why it cannot. And
# `reach(name, source)`, which only sees whether it would, and says what is there.
_MODULES = {"path": "files", "postgres": "postgres", "http": "http", "redis": "redis", "kafka": "kafka"}


def named(name: str) -> Source:
    """The source of this name. Raises TidemarkError that lists the known ones."""
    known = sources()
    if name not in known:
        raise TidemarkError(
            f"There is no source {name!r} in config/sources.yml: the known ones are {', '.join(known)}."
        )
    return known[name]


def standing() -> list[str]:
    """The names of the sources that are read without being given files."""
    return [name for name, source in sources().items() if source.kind]


def pending(
    connection: psycopg.Connection, name: str, source: Source, paths: Sequence[Path] | None
) -> Iterator[Pending]:
    """What there is to load, one after the other: how the ledger names it, and what takes it in hand.

    Raises TidemarkError when the source has nothing to look at, and SourceFailure when it cannot be read.
    """
    if paths is not None:
        yield from files.given(connection, name, source, paths)
    elif source.kind is None:
        raise TidemarkError(f"Source {name!r} has no place that is looked at: name the files to load.")
    else:
        yield from _module(source).pending(connection, name, source)


def reach(name: str, source: Source) -> str:
    """What is there of a source that is looked at; nothing of it is taken. Raises SourceFailure when it cannot be."""
    return _module(source).reach(name, source)


def _module(source: Source) -> ModuleType:
    return import_module(f"{__name__}.{_MODULES[source.kind]}")
