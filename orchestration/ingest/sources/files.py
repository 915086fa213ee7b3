"""Files: which ones a source has, whether they were loaded already, and opening them."""

import gzip
import io
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

import psycopg

from orchestration.errors import TidemarkError
from orchestration.ingest.contract import BrokenFile
from orchestration.ingest.sources.arrival import Arrival
from orchestration.settings import Source, settings

Fingerprint = tuple[int, int]
QUIET_SECONDS = 3  # a watched file that changed more recently may still be growing
_BUFFER = 1024 * 1024
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp")


def pending(
    connection: psycopg.Connection, name: str, source: Source, paths: Sequence[Path] | None
) -> Iterator[tuple[str, Callable[[], Arrival]]]:
    """These files, or those that arrived in the source's folder: the locator of each, and what takes it in hand.

    Raises TidemarkError when there are no such files.
    """
    files = settled(arrived(connection, name, source)) if paths is None else expanded(paths, source)
    for path in files:
        yield locator(path), partial(arrival, path)


def arrival(path: Path) -> Arrival:
    """A file as it is now. Raises BrokenFile when it cannot be read, or, as it is read to its end, when it changed."""
    seen, checksum = examined(path)
    cursor = {"size": seen[0], "modified_ns": seen[1]}
    return Arrival(locator(path), checksum, partial(opened, path, seen), lambda _: cursor)


def folder(source: Source) -> Path:
    return settings().directory(str(source.path))


def expanded(paths: Sequence[Path], source: Source) -> list[Path]:
    """These files, and in place of a directory those in it that match the source's pattern, in sorted order."""
    files = []
    for path in paths:
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except OSError as error:
            raise TidemarkError(f"{path} cannot be reached ({error.strerror}): check its permissions.") from error
        if is_folder:
            found = _matching(path, source.pattern)
            if not found:
                raise TidemarkError(f"No file in {path} matches {source.pattern!r}: give the files themselves.")
            files += found
        elif is_there:
            files.append(path)
        else:
            raise TidemarkError(f"{path} does not exist: check the path.")
    return list(dict.fromkeys(file.absolute() for file in files))


def arrived(connection: psycopg.Connection, name: str, source: Source) -> dict[Path, Fingerprint]:
    """The files of a watched folder that were not loaded yet, or changed since, in sorted order."""
    query = "select locator, cursor from raw.cursors where source = %s"
    loaded = {locator: (c["size"], c["modified_ns"]) for locator, c in connection.execute(query, [name])}
    found = _matching(folder(source), source.pattern)
    return {path: seen for path, seen in found.items() if loaded.get(locator(path)) != seen}


def is_quiet(seen: Fingerprint) -> bool:
    """Whether a file was last written to some seconds ago. A time in the future counts as quiet."""
    return abs(time.time() - seen[1] / 1e9) > QUIET_SECONDS


def settled(found: dict[Path, Fingerprint]) -> list[Path]:
    """Those files that are complete: the youngest are given some seconds, and those that changed are left out."""
    if not all(map(is_quiet, found.values())):
        time.sleep(QUIET_SECONDS)
    return [path for path, seen in found.items() if path.exists() and fingerprint(path) == seen]


def _matching(directory: Path, pattern: str) -> dict[Path, Fingerprint]:
    return {
        path: fingerprint(path)
        for path in sorted(directory.rglob(pattern))
        if path.is_file() and not path.name.startswith(".") and path.suffix not in _UNFINISHED
    }


def locator(path: Path) -> str:
    """The name by which the ledger knows a file: its absolute path, with bytes that are not UTF-8 escaped."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")


def fingerprint(path: Path) -> Fingerprint:
    """(size in bytes, time of modification in nanoseconds): it changes when the file does."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def examined(path: Path) -> tuple[Fingerprint, str]:
    """The file's fingerprint, and the SHA-256 of its bytes in hexadecimal. Raises BrokenFile when it cannot be read."""
    try:
        with path.open("rb") as file:
            return fingerprint(path), file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BrokenFile(f"cannot be read ({error.strerror}): check the path and its permissions.") from error


@contextmanager
def opened(path: Path, seen: Fingerprint) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked when they are gzip, whatever its name says.

    Raises BrokenFile, while it is read, when it is not whole or cannot be read, and in the end when it has changed.
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER) if is_gzip else file
        if fingerprint(path) != seen:
            raise BrokenFile("changed while it was read: load it again when it is complete.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenFile(f"is not a whole gzip file ({error}): copy it again; nothing of it was loaded.") from error
    except OSError as error:
        raise BrokenFile(f"cannot be read ({error.strerror}): check the path and its permissions.") from error
