"""The files in which a person may be named, and making those nameless: all under TIDEMARK_HOME, and exports that were
written to other folders. Archives have their own module.

What arrived and was loaded is only a copy: its lines are blanked in place, so that every position, identity and cursor
stays what it was. A kept report or export goes as a whole; it can be made again. Logs and the like lose the name only.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from hashlib import sha256
from pathlib import Path

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from orchestration.privacy.contents import cells, names_in, people_columns, texts
from orchestration.settings import settings
from orchestration.warehouse import database
from orchestration.warehouse.names import Names, found_in, masked, people_in

# Not searched: the database's own files (its tables are), the installer, the key, and keyed hashes.
NOT_SEARCHED = ("postgres", "uv", "secret.key", "suppressed.jsonl", "certificates")


@dataclass(frozen=True)
class Named:
    """A file in which somebody is named, or whose path does."""

    path: Path
    names: set[str]
    is_inside: bool

    @property
    def place(self) -> str:
        return _place(self.path)

    @property
    def folder(self) -> str:
        """The first folder under TIDEMARK_HOME, or that of an exported file."""
        return str(self.path.parent) if self.place.startswith("/") else self.place.split("/")[0]


def _place(path: Path) -> str:
    """A path under TIDEMARK_HOME, or one of elsewhere as a whole."""
    home = settings().home.resolve()
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def search(names: Names) -> Iterator[Named]:
    """The files that name somebody, inside or by their path."""
    for path in everything():
        inside = _found_in(names, path)
        place = _place(path)
        by_path = {place[start:end] for start, end in names.spans(place)}
        if inside or by_path:
            yield Named(path, inside | by_path, bool(inside))


def everything() -> Iterator[Path]:
    home = settings().home.resolve()
    for folder, folders, files in os.walk(home):
        if Path(folder) == home:
            folders[:] = [name for name in folders if name not in NOT_SEARCHED]
            files = [name for name in files if name not in NOT_SEARCHED]
        for name in sorted(files):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path
    for path in _exported():
        if path.is_file() and not path.is_relative_to(home):
            yield path


# Also those that were cut short, whose file may be there. Older entries say only on delivery where to.
_EXPORTS = """
    select coalesce(exported.detail ->> 'to', delivered.detail ->> 'to') as address, exported.subject,
        exported.at::date, exported.detail ? 'personal'
    from ops.audit as exported
    left join ops.audit as delivered
        on delivered.action = 'export delivered'
        and delivered.detail ->> 'export_id' = exported.detail ->> 'export_id'
    where exported.action = 'export' and coalesce(exported.detail ->> 'to', delivered.detail ->> 'to') is not null
    order by exported.audit_id"""


def _exported() -> Iterator[Path]:
    """Every file that an export wrote to a folder, and its manifest, wherever that is."""
    for address, *_ in _exports():
        if "://" not in address:
            yield Path(address)
            yield _manifest(Path(address))


def _exports() -> list[tuple]:
    with database.connect("eraser") as connection:
        return connection.execute(_EXPORTS).fetchall()


def _manifest(exported: Path) -> Path:
    return exported.with_name(f"{exported.name.rpartition('.')[0]}.manifest.json")


def out_of_reach() -> dict[str, str]:
    """Where exports that name people were put and nobody can look from here, by address, with what was put there."""
    found: dict[str, list[tuple]] = {}
    for address, table, day, is_personal in _exports():
        if "://" in address and is_personal:
            found.setdefault(address.rpartition("/")[0], []).append((table, day))
    return {
        place: f"{len(put)} exported files of {', '.join(sorted({table for table, _ in put}))}, "
        f"of {min(day for _, day in put)} to {max(day for _, day in put)}"
        for place, put in sorted(found.items())
    }


def _found_in(names: Names, path: Path) -> set[str]:
    try:
        return names_in(names, path.read_bytes())
    except FileNotFoundError:  # a log that was rotated meanwhile
        return set()


def make_nameless(connection: psycopg.Connection, named: Named, names: Names) -> str:
    """Make one file nameless, inside and by its path; say what was done, or why it could not be."""
    path, said = named.path, "renamed"
    if named.is_inside:
        cursor = _cursor(connection, path)
        content = path.read_bytes()
        if cursor is not None or _is_landing(path):
            said = _blank(connection, path, content, names, cursor)
        elif (folder := _kept_folder(path)) is not None:
            shutil.rmtree(folder)
            said = "removed"
        elif export := _export(path):
            for part in export:
                part.unlink(missing_ok=True)
            said = "removed"
        elif path.suffix != ".eml" and _is_text(content) and not names_in(names, fresh := _without(names, content)):
            _replace(path, fresh)
            said = "made nameless"
        else:
            path.unlink(missing_ok=True)
            said = "removed"
    if path.exists() and (place := _nameless_path(path, names)) != path:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    with suppress(OSError):  # a folder may bear the name, too
        while _nameless_path(path.parent, names) != path.parent:
            path.parent.rmdir()
            path = path.parent
    return said


def _without(names: Names, content: bytes) -> bytes:
    return masked(names, content.decode()).encode()


def _nameless_path(path: Path, names: Names) -> Path:
    home = settings().home.resolve()
    if not path.is_relative_to(home):  # the names of other folders are their owners'
        return path
    return home / masked(names, str(path.relative_to(home)))


def _kept_folder(path: Path) -> Path | None:
    """The folder of a kept report, which has a manifest. Other folders than ours are never removed."""
    home = settings().home.resolve()
    is_kept = path.parent.is_relative_to(home) and path.parent != home and (path.parent / "manifest.json").exists()
    return path.parent if is_kept else None


def _export(path: Path) -> list[Path]:
    """An exported file and its manifest, of which a path is one; nothing where it is neither."""
    stem = path.name.removesuffix(".manifest.json")
    if stem != path.name:
        return sorted(path.parent.glob(f"{escape(stem)}.*"))
    return [path, _manifest(path)] if _manifest(path).exists() else []


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_landing(path: Path) -> bool:
    return path.is_relative_to(settings().home.resolve() / "inbox")


def _cursor(connection: psycopg.Connection, path: Path) -> dict | None:
    query = "select source, locator, cursor, load_id from raw.cursors where locator = %s"
    row = connection.execute(query, [str(path)]).fetchone()
    return row and dict(zip(("source", "locator", "cursor", "load_id"), row, strict=True))


def _blank(connection: psycopg.Connection, path: Path, content: bytes, names: Names, cursor: dict | None) -> str:
    """Put blanks in place of the lines that name somebody; remove what has no lines and was loaded."""
    is_packed = list(texts(content)) != [content.decode("utf-8", "replace")]
    if is_packed and cursor is None:
        return "left: it was not loaded yet, and what is loaded of it will be without them"
    if is_packed:
        path.unlink()
        return "removed"
    lines = content.splitlines(keepends=True)
    columns = people_columns(lines[0].decode("utf-8", "replace")) if lines else []
    fresh = b"".join(_blanked(line, names, columns, is_loaded=cursor is not None) for line in lines)
    status = path.stat()
    _replace(path, fresh)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # or it would seem to have changed
    if cursor is not None:
        _follow(connection, cursor, content, fresh)
    return "blanked"


def _blanked(line: bytes, names: Names, columns: list[int], is_loaded: bool) -> bytes:
    """A line as long as before, so that what follows stays where it is. Of a table, `columns` name people."""
    text = line.decode("utf-8", "replace")
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        record = None
    in_columns = record is None and any(names.is_one(cell) for cell in cells(text, columns))
    if not (any(names.spans(text)) or in_columns or (record is not None and found_in(names, record))):
        return line
    is_about = record is None or any(names.is_one(name) for name in people_in(record))
    if is_loaded or is_about:
        body = line.rstrip(b"\r\n")
        return b" " * len(body) + line[len(body) :]
    for start, end in names.spans(text):
        name = text[start:end]
        line = line.replace(name.encode(), b"*" * len(name.encode()))
    return line


def _follow(connection: psycopg.Connection, cursor: dict, old: bytes, fresh: bytes) -> None:
    """Have the cursor and the ledger know the file by its bytes as they are now."""
    place = cursor["cursor"]
    changed = dict(place)
    if "end" in place:
        changed["checksum"] = sha256(fresh[: place["end"]]).hexdigest()
    connection.execute(
        "update raw.cursors set cursor = %s where source = %s and locator = %s",
        [Jsonb(changed), cursor["source"], cursor["locator"]],
    )
    for upto in {len(old), place.get("end", len(old))}:
        connection.execute(
            "update raw.loads set checksum = %s where source = %s and checksum = %s",
            [sha256(fresh[:upto]).hexdigest(), cursor["source"], sha256(old[:upto]).hexdigest()],
        )


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_bytes(content)
    shutil.copymode(path, fresh)
    os.replace(fresh, path)
