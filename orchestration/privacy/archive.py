"""A day of `raw.events` as a sealed Parquet file with a manifest beside it, and back. When is for retention to say.

The manifest is JSON: table, day, file, sha256 and bytes of the file, columns with their types in the database, and
control totals of the rows. The file is encrypted under TIDEMARK_SECRET_KEY. Archives stand under TIDEMARK_HOME.
"""

import json
import os
from collections.abc import Iterator
from datetime import date
from hashlib import file_digest
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
from psycopg import sql

from orchestration.errors import TidemarkError
from orchestration.settings import settings
from orchestration.warehouse.names import KnownNames, found_in, masked, masked_json
from orchestration.warehouse.sealing import opened, sealed

if TYPE_CHECKING:
    import polars as pl

ROWS_AT_ONCE = 50_000


def path_of(day: date) -> Path:
    return settings().directory("archive/raw.events") / f"{day}.parquet.sealed"


def archives() -> list[Path]:
    return sorted(settings().directory("archive/raw.events").glob("*.parquet.sealed"))


def manifest_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".parquet.sealed") + ".json")


def write(connection: psycopg.Connection, table: str, day: date) -> dict:
    """Write a day's table, such as `raw.events_20260301`, to its archive; return the manifest.

    The caller's transaction must be one that sees a single snapshot. The files replace an older archive of the day when
    they are complete and on disk.
    """
    import polars as pl

    path, columns = path_of(day), _columns(connection, table)
    with TemporaryDirectory(dir=path.parent, prefix=f"{day}.") as folder:
        for number, frame in enumerate(_frames(connection, table, columns)):
            frame.write_parquet(Path(folder) / f"{number:06d}.part")
        plain, whole = Path(folder) / "plain", Path(folder) / path.name
        pl.scan_parquet(Path(folder) / "*.part").sink_parquet(plain, compression="zstd")
        whole.write_bytes(sealed(plain.read_bytes()))
        manifest = {
            "table": "raw.events",
            "day": str(day),
            "file": path.name,
            "sha256": _sha256(whole),
            "bytes": whole.stat().st_size,
            "columns": [{"name": name, "type": kind} for name, kind in columns.items()],
            **_totals(connection, table, columns),
        }
        (Path(folder) / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        _put(whole, path)
        _put(Path(folder) / "manifest.json", manifest_of(path))
    return manifest


def read(connection: psycopg.Connection, path: Path, table: str) -> dict:
    """Fill an empty table with the rows of an archive; return its manifest.

    Raises TidemarkError when the archive is absent, is not what its manifest says, or its rows come out otherwise than
    they went in.
    """
    manifest = _manifest(path)
    columns = {column["name"]: column["type"] for column in manifest["columns"]}
    if strange := columns.keys() - _columns(connection, table).keys():
        raise TidemarkError(
            f"{path} has columns that {table} has not ({', '.join(sorted(strange))}): it stays archived."
        )
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(_named(table), names)) as copy:
        for frame in _slices(path):
            for row in frame.iter_rows():
                copy.write_row(row)
    totals = _totals(connection, table, columns)
    if differing := [name for name in totals if totals[name] != manifest[name]]:
        raise TidemarkError(
            f"{path} was not restored: its {', '.join(differing)} came out otherwise than they went in."
        )
    return manifest


def erase(connection: psycopg.Connection, path: Path, names: KnownNames) -> tuple[int, int]:
    """Write an archive again without a person's events and without their names in others'; return how many of each.

    Raises TidemarkError when the archive is damaged.
    """
    if not any(_concerned(names, row) for frame in _slices(path) for row in frame.iter_rows(named=True)):
        return 0, 0
    day = date.fromisoformat(_manifest(path)["day"])
    with connection.transaction():
        connection.execute("create temporary table archived (like raw.events) on commit drop")
        read(connection, path, "pg_temp.archived")
        query = "select ctid::text, user_id, event_id, event_type, session_id, properties::text from archived"
        removed = nameless = 0
        for ctid, user_id, *texts in connection.execute(query).fetchall():
            if user_id is not None and names.is_one(user_id):
                connection.execute("delete from archived where ctid = %s", [ctid])
                removed += 1
            elif _mentions(names, texts):
                changed = [text and masked(names, text) for text in texts[:-1]] + [masked_json(names, texts[-1])]
                connection.execute(
                    """update archived set event_id = %s, event_type = %s, session_id = %s, properties = %s
                       where ctid = %s""",
                    [*changed, ctid],
                )
                nameless += 1
        manifest = write(connection, "pg_temp.archived", day)
        connection.execute("update ops.expired_days set rows = %s where day = %s", [manifest["rows"], day])
    return removed, nameless


def _concerned(names: KnownNames, row: dict) -> bool:
    user_id = row["user_id"]
    texts = [row[name] for name in ("event_id", "event_type", "session_id", "properties")]
    return (user_id is not None and names.is_one(user_id)) or _mentions(names, texts)


def _mentions(names: KnownNames, texts: list[str | None]) -> bool:
    """Whether somebody is named in the texts of an event, the last of which are its properties as JSON."""
    return any(any(names.spans(text)) for text in texts if text) or bool(found_in(names, json.loads(texts[-1])))


def _manifest(path: Path) -> dict:
    """The manifest of an archive that is what it was when it was written."""
    try:
        manifest = json.loads(manifest_of(path).read_text())
        if _sha256(path) != manifest["sha256"]:
            raise TidemarkError(f"{path} is not the file that its manifest describes: put it back from a backup.")
    except (OSError, ValueError, KeyError) as error:
        raise TidemarkError(f"{path} or its manifest cannot be read ({error}): put it back from a backup.") from error
    return manifest


def _columns(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """The columns of a table and their types, in order."""
    query = """
        select attname, format_type(atttypid, atttypmod)
        from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped
        order by attnum"""
    return dict(connection.execute(query, [table]).fetchall())


def _named(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _frames(connection: psycopg.Connection, table: str, columns: dict[str, str]) -> "Iterator[pl.DataFrame]":
    """The rows of a table in the order of time, some at a time; at least one frame, if an empty one."""
    import polars as pl

    typed = {
        "timestamp with time zone": pl.Datetime("us", "UTC"),
        "bigint": pl.Int64,
        "integer": pl.Int32,
        "boolean": pl.Boolean,
    }
    schema = {name: typed.get(kind, pl.String) for name, kind in columns.items()}
    wanted = sql.SQL(", ").join(
        sql.Identifier(name) if kind in typed else sql.SQL("{}::text").format(sql.Identifier(name))
        for name, kind in columns.items()
    )
    query = sql.SQL("select {} from {} order by occurred_at, source, event_id").format(wanted, _named(table))
    with connection.cursor(f"archive_{uuid4().hex}") as cursor:
        cursor.execute(query)
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        while True:
            yield pl.DataFrame(rows, schema=schema, orient="row")
            if not (rows := cursor.fetchmany(ROWS_AT_ONCE)):
                return


def _slices(path: Path) -> "Iterator[pl.DataFrame]":
    import polars as pl

    yield from pl.read_parquet(BytesIO(opened(path.read_bytes()))).iter_slices(ROWS_AT_ONCE)


def _totals(connection: psycopg.Connection, table: str, columns: dict[str, str]) -> dict:
    """What must come out of an archive as it went in: rows, events by type, and a digest of all values.

    The digest is the sum of a hash of each row, so that the order of rows does not matter and their number does.
    """
    row = sql.SQL("row({})::text").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    hashed = sql.SQL("('x' || left(md5({}), 16))::bit(64)::bigint::numeric").format(row)
    query = sql.SQL("select event_type, count(*), sum({}) from {} group by 1 order by 1").format(hashed, _named(table))
    groups = connection.execute(query).fetchall()
    return {
        "rows": sum(count for _, count, _ in groups),
        "events_by_type": {event_type: count for event_type, count, _ in groups},
        "digest": str(sum(digest for _, _, digest in groups)),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _put(fresh: Path, path: Path) -> None:
    """Move a file to its place such that after a power cut either the old one is there or the new one, whole."""
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
