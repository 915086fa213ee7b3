"""Files in a folder or in object storage: which ones a source has, what is new in them, and opening them."""

import codecs
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
import psycopg

from orchestration.errors import TidemarkError
from orchestration.ingest.contract import BrokenFile
from orchestration.ingest.dialects.packing import DAMAGED, unpacked
from orchestration.ingest.sources.arrival import Arrival, Pending, SourceFailure
from orchestration.settings import Source, filled, settings

QUIET_SECONDS = 3  # a watched file that changed more recently may still be growing
UNENDED_SECONDS = 300  # a last line without its end may be half written for so long
_BLOCK = 1024 * 1024
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp")


@dataclass(frozen=True)
class File:
    """A file as it was when it was looked at. Its fingerprint changes when the file does."""

    locator: str
    fingerprint: dict  # "size" in bytes, and "modified_ns" or what the storage has instead
    written_at: float  # seconds since 1970; 0 where a file appears whole, as in object storage
    open: Callable[[], BinaryIO]
    again: Callable[[], "File"]  # what it is now; raises OSError when it is gone

    @property
    def is_quiet(self) -> bool:
        """Whether it was last written to some seconds ago. A time in the future counts as quiet."""
        return abs(time.time() - self.written_at) > QUIET_SECONDS

    @property
    def is_old(self) -> bool:
        """Whether nobody is going to end its last line any more."""
        return abs(time.time() - self.written_at) > UNENDED_SECONDS


def pending(connection: psycopg.Connection, name: str, source: Source) -> Iterator[Pending]:
    """What arrived in the source's folder: files that are new, and what others grew by."""
    yield from _refused_links(source)
    for file, cursor in settled(arrived(connection, name, source)):
        yield file.locator, partial(arrival, file, source.format, cursor, file.is_old)


def reach(name: str, source: Source) -> str:
    """The folder, and how many files it has. Raises SourceFailure."""
    if is_remote(source):
        return f"{source.path}: {len(_stored(source))} files"
    directory = settings().home.resolve() / source.path
    if not directory.exists() and directory.is_relative_to(settings().home.resolve()):
        return f"{directory}: is made at the first look"
    if not directory.is_dir() or not os.access(directory, os.R_OK | os.X_OK):
        raise SourceFailure(
            f"Source {name!r}: {directory} is no folder that can be read: create it, or correct `path`."
        )
    return f"{directory}: {len(_matching(directory, source.pattern))} files"


def given(connection: psycopg.Connection, name: str, source: Source, paths: Sequence[Path]) -> Iterator[Pending]:
    """These files, each to its last byte. Raises TidemarkError when there are no such files."""
    for path in expanded(paths, source):
        cursor = _cursors(connection, name, locator(path)).get(locator(path))
        yield locator(path), partial(_given, path, source, cursor)


def _given(path: Path, source: Source, cursor: dict | None) -> Arrival | None:
    with _as_broken():
        file = local(path)
    return arrival(file, source.format, cursor, is_ended=True)


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


# Which files --------------------------------------------------------------------------------------------------------


def is_remote(source: Source) -> bool:
    """Whether its files stand in object storage, which is asked over a network."""
    return "://" in source.path


def arrived(connection: psycopg.Connection, name: str, source: Source) -> list[tuple[File, dict | None]]:
    """The files of a source that were not loaded yet, changed since, or have a last line to take, in sorted order.

    Beside each stands the cursor of its newest load.
    """
    cursors = _cursors(connection, name)
    found = _stored(source) if is_remote(source) else _watched(folder(source), source.pattern)
    pairs = [(file, cursors.get(file.locator)) for file in found]
    return [(file, cursor) for file, cursor in pairs if _is_new(file, cursor)]


def is_ready(file: File, cursor: dict | None) -> bool:
    """Whether a file may be read now: nobody is writing to it, or it is known to grow line by line."""
    return file.is_quiet or bool(cursor and "end" in cursor)


def _is_new(file: File, cursor: dict | None) -> bool:
    if cursor is None or any(cursor.get(key) != value for key, value in file.fingerprint.items()):
        return True
    return file.is_old and cursor.get("taken", file.fingerprint["size"]) < file.fingerprint["size"]


def _cursors(connection: psycopg.Connection, name: str, locator: str | None = None) -> dict[str, dict]:
    query = "select locator, cursor from raw.cursors where source = %s and locator = coalesce(%s, locator)"
    return dict(connection.execute(query, [name, locator]).fetchall())


def settled(found: list[tuple[File, dict | None]]) -> list[tuple[File, dict | None]]:
    """Those files that may be read: the youngest are given some seconds, and those that changed are left out."""
    ready = [is_ready(*pair) for pair in found]
    if not all(ready):
        time.sleep(QUIET_SECONDS)
    return [pair for pair, is_now in zip(found, ready, strict=True) if is_now or _is_as_it_was(pair[0])]


def _is_as_it_was(file: File) -> bool:
    try:
        return file.again().fingerprint == file.fingerprint
    except _unreachable():
        return False


def folder(source: Source) -> Path:
    return settings().directory(source.path)


def _watched(directory: Path, pattern: str) -> Iterator[File]:
    for path in _matching(directory, pattern):
        if not _leads_out(path, directory):
            try:
                yield local(path)
            except OSError:
                continue  # it was taken away meanwhile


def _matching(directory: Path, pattern: str) -> list[Path]:
    return [
        path
        for path in sorted(directory.rglob(pattern))
        if path.is_file() and not path.name.startswith(".") and path.suffix not in _UNFINISHED
    ]


def _leads_out(path: Path, directory: Path) -> bool:
    """Whether a name stands for a file elsewhere: who may write into a folder may not have everything read."""
    return not path.resolve().is_relative_to(directory.resolve())


def _refused_links(source: Source) -> Iterator[Pending]:
    if is_remote(source):
        return
    directory = folder(source)
    for path in _matching(directory, source.pattern):
        if _leads_out(path, directory):
            yield locator(path), partial(_refuse, "is a link that leads out of its folder: put the file itself there.")


def _refuse(sentence: str) -> Arrival:
    raise BrokenFile(sentence)


def locator(path: Path) -> str:
    """The name by which the ledger knows a file: its absolute path, with bytes that are not UTF-8 escaped."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")


def local(path: Path) -> File:
    """A file of this machine as it is now. Raises OSError when it cannot be looked at."""
    status = path.stat()
    fingerprint = {"size": status.st_size, "modified_ns": status.st_mtime_ns}
    written_at = status.st_mtime_ns / 1e9
    return File(locator(path), fingerprint, written_at, partial(path.open, "rb"), partial(local, path))


def _stored(source: Source) -> list[File]:
    """The files of an object storage, in sorted order. Raises SourceFailure when it does not answer."""
    import fsspec

    options = {name: filled(value) for name, value in source.storage.items()}
    try:
        # A listing from an earlier look at it is of no use.
        system, root = fsspec.url_to_fs(filled(source.path), use_listings_cache=False, **options)
        found = system.find(root, detail=True)
    except (ImportError, ValueError, *_unreachable()) as error:
        raise SourceFailure(
            f"{source.path} cannot be listed ({_said(error)}): check the address and its credentials."
        ) from error
    prefix = source.path.split("://")[0] + "://"
    return [
        _object(system, path, prefix, info)
        for path, info in sorted(found.items())
        if info.get("type") != "directory" and _is_wanted(path.removeprefix(root).lstrip("/"), source.pattern)
    ]


def _is_wanted(path: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    name = path.rpartition("/")[2]
    return fnmatchcase(name, pattern) and not name.startswith(".") and not name.endswith(_UNFINISHED)


def _object(system, path: str, prefix: str, info: dict) -> File:
    version = next((info[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if info.get(key)), "")
    fingerprint = {"size": info["size"], "version": str(version)}
    again = lambda: _object(system, path, prefix, system.info(path))  # noqa: E731
    return File(prefix + path, fingerprint, 0, partial(system.open, path, "rb"), again)


def _said(error: Exception) -> str:
    """The first line of what a library says, which names neither keys nor passwords."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


# What is new in one -------------------------------------------------------------------------------------------------


@dataclass
class _Look:
    """What one pass over a file's bytes finds. Offsets are in bytes; digests are SHA-256 of all before an offset."""

    is_lines: bool = True
    size: int = 0
    checksum: str = ""
    head: int = 0  # behind the first record
    end: int = 0  # behind the last record that is ended by its line's end
    end_checksum: str = ""
    known_checksum: str = ""  # of the bytes that an earlier cursor covers


def arrival(file: File, form: str, cursor: dict | None, is_ended: bool) -> Arrival | None:
    """What of a file is new: all of it, or when it grew, what came after the bytes of its cursor; None for nothing.

    A last line without an end is left for the next time unless it is whole by itself, or `is_ended` says that no end
    will come; then too the cursor stays before it. Raises BrokenFile when it cannot be read, or when it changed.
    """
    known = cursor.get("end", 0) if cursor else 0
    with _as_broken(), file.open() as stream:
        look = _looked_through(stream, form, known)
    if not look.is_lines:
        return _whole(file, look)
    start, root, skipped = 0, look.checksum, 0
    if known and look.known_checksum == cursor["checksum"]:
        start, root, skipped = known, cursor["root"], cursor["records"]
    taken = look.size if is_ended else look.end
    if not taken and look.size:
        return None
    checksum = look.checksum if taken == look.size else look.end_checksum
    ranges = [(0, look.head if form == "csv" and start else 0), (start, taken)]

    def moved(last_position: int | None) -> dict:
        if last_position is None and taken > start:  # all of it is known under another name, whose positions are not
            records, own = 0, sha256(f"{file.locator}\n{checksum}".encode()).hexdigest()
        elif last_position is None:
            records, own = skipped, root
        else:
            records, own = last_position - (taken > look.end), root
        place = {"end": look.end, "checksum": look.end_checksum, "records": records, "root": own, "taken": taken}
        return file.fingerprint | place

    return Arrival(file.locator, checksum, partial(opened, file, ranges), moved, root, skipped)


def _whole(file: File, look: _Look) -> Arrival:
    """A file that can only be read as a whole: when it changes, it is another."""
    return Arrival(file.locator, look.checksum, partial(opened, file), lambda _: file.fingerprint)


def _looked_through(stream: BinaryIO, form: str, known: int) -> _Look:
    look, digest = _Look(), sha256()
    look.is_lines = _is_lines(stream.read(_BLOCK), form)
    stream.seek(0)
    is_quoting, is_odd, tail = form == "csv", 0, b""
    while block := stream.read(_BLOCK if look.size >= known else min(_BLOCK, known - look.size)):
        if look.is_lines:
            cut, head, is_odd = _record_ends(block, is_odd, is_quoting)
            look.head = look.head or (look.size + head if head else 0)
            if cut:
                upto = digest.copy()
                upto.update(block[:cut])
                look.end, look.end_checksum, tail = look.size + cut, upto.hexdigest(), b""
            tail = (tail + block[cut:])[: _BLOCK + 1]
        digest.update(block)
        look.size += len(block)
        if look.size == known:
            look.known_checksum = digest.hexdigest()
    look.checksum = digest.hexdigest()
    if look.is_lines and not is_quoting and len(tail) <= _BLOCK and _is_json_object(tail):
        look.end, look.end_checksum = look.size, look.checksum
    return look


def _record_ends(block: bytes, is_odd: int, is_quoting: bool) -> tuple[int, int, int]:
    """Where the last and the first record end in a block, 0 where none does, and whether the rest is inside quotes.

    A line's end inside the quotes of CSV ends no record. A quote in quotes is two, which changes nothing.
    """
    if not is_quoting:
        return block.rfind(b"\n") + 1, block.find(b"\n") + 1, 0
    is_odd_after = (is_odd + block.count(b'"')) % 2
    cut, parity = len(block), is_odd_after
    while (found := block.rfind(b"\n", 0, cut)) >= 0:
        parity = (parity + block.count(b'"', found, cut)) % 2
        cut = found
        if not parity:
            break
    last = found + 1
    first, parity = block.find(b"\n"), is_odd
    begin = 0
    while first >= 0:
        parity = (parity + block.count(b'"', begin, first)) % 2
        if not parity:
            break
        begin, first = first, block.find(b"\n", first + 1)
    return last, first + 1, is_odd_after


def _is_lines(block: bytes, form: str) -> bool:
    """Whether a file is a record a line, by its beginning: not packed, no list, no document over many lines."""
    head = io.BytesIO(block[:4])
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or unpacked(head) is not head:
        return False
    if form in ("native", "csv", "lines", "openedx"):
        return True
    return _is_json_object(block.partition(b"\n")[0])


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


# Reading it ---------------------------------------------------------------------------------------------------------


@contextmanager
def opened(file: File, ranges: list[tuple[int, int]] | None = None) -> Iterator[BinaryIO]:
    """A file's bytes, unpacked whatever its name says; with `ranges`, only those from one offset to another.

    Raises BrokenFile, while it is read, when it is not whole or cannot be read, and in the end when it has changed.
    """
    try:
        with file.open() as stream:
            yield io.BufferedReader(_Slice(stream, ranges), _BLOCK) if ranges else unpacked(stream)
        now = file.again().fingerprint
        has_grown = ranges and now["size"] > file.fingerprint["size"]  # behind what was read
        if now != file.fingerprint and not has_grown:
            raise BrokenFile("changed while it was read: load it again when it is complete.")
    except DAMAGED as error:
        raise BrokenFile(f"is not a whole packed file ({error}): copy it again; nothing of it was loaded.") from error
    except _unreachable() as error:
        raise _broken(error) from error


@contextmanager
def _as_broken() -> Iterator[None]:
    try:
        yield
    except _unreachable() as error:
        raise _broken(error) from error


def _unreachable() -> tuple[type[Exception], ...]:
    """What is raised by a file that cannot be read; S3's library has errors of its own."""
    from botocore.exceptions import BotoCoreError

    return OSError, BotoCoreError


def _broken(error: Exception) -> BrokenFile:
    said = getattr(error, "strerror", None) or _said(error)
    return BrokenFile(f"cannot be read ({said}): check the path and its permissions.")


class _Slice(io.RawIOBase):
    """Some ranges of a stream, one after the other."""

    def __init__(self, stream: BinaryIO, ranges: list[tuple[int, int]]):
        self.stream = stream
        self.ranges = [each for each in ranges if each[0] < each[1]]
        self.position = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while self.ranges:
            start, end = self.ranges[0]
            if self.position is None:
                self.position = self.stream.seek(start)
            if block := self.stream.read(min(len(buffer), end - self.position)):
                buffer[: len(block)] = block
                self.position += len(block)
                return len(block)
            self.ranges.pop(0)
            self.position = None
        return 0
