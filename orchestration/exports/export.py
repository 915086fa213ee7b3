"""An export from beginning to end: its rows, its manifest, what is recorded of it, and who is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.exports import formats, selection, snapshot
from orchestration.exports.places import Place, place
from orchestration.exports.totals import Totals, totals
from orchestration.settings import Export
from orchestration.warehouse import audit, database, outbox

WHOLE = "everything"


@dataclass(frozen=True)
class Exported:
    """What became of an export: its manifest, and where the files are; nothing of both where nothing had changed."""

    name: str
    since: int | None
    manifest: dict = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def export(
    name: str, wanted: Export, actor: str, *, since: int | None = None, progress: formats.Progress = lambda rows: None
) -> Exported:
    """Write a table to a file, put it into its place with its manifest behind it, and record who took what.

    `since`: only what was computed again for loads after this one; where `wanted` is incremental and none is given,
    after the last one of this name. Raises TidemarkError, and then nothing of the file can be seen.
    """
    target = place(wanted.to, wanted.storage)
    _webhook(name, wanted)
    with database.connect("report") as connection, _one_at_a_time(connection, name):
        last = _last(name, wanted) if wanted.incremental and since is None else None
        with _spooled(target, name) as file:
            manifest = _write(name, wanted, actor, since, last, file, progress)
            if manifest is None:
                return Exported(name, since if since is not None else last["load_id"])
            names = manifest["file"], f"{manifest['file'].rpartition('.')[0]}.manifest.json"
            written = [target.address_of(one) for one in names]
            _record(connection, manifest, written[0])  # nothing leaves that is not recorded
            target.put(file, names[0])
            _put_manifest(target, manifest, names[1])
        with connection.transaction():
            audit.record(
                connection, "export delivered", manifest["table"], actor=actor, export_id=manifest["export_id"],
                name=name, load_id=manifest["load_id"], definitions=manifest["definitions"],
                selected=_selected(wanted),
            )  # fmt: skip
            if wanted.webhook:
                _tell(connection, wanted.webhook, manifest, written)
    return Exported(name, manifest["since"], manifest, written)


@contextmanager
def _one_at_a_time(connection: psycopg.Connection, name: str) -> Iterator[None]:
    query = "select pg_try_advisory_lock(hashtext('export'), hashtext(%s))"
    if not connection.execute(query, [name]).fetchone()[0]:
        raise TidemarkError(f"{name} is being exported already: wait until that is done.")
    connection.commit()
    yield  # the lock ends with the connection


@contextmanager
def _spooled(target: Place, name: str) -> Iterator[Path]:
    """A file that nobody takes for an export yet, by its name. What a killed process left of it is replaced."""
    file = target.spool() / f".{name}.part"
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _write(
    name: str, wanted: Export, actor: str, since: int | None, last: dict | None, file: Path, progress: formats.Progress
) -> dict | None:
    """Write the rows as they are in one snapshot; return the manifest, None where nothing changed."""
    zone = settings.tenant().zone
    with snapshot.reading(wanted.login) as (reader, owner):
        table = selection.find(owner, wanted.table)
        stored = snapshot.stored(owner, str(table))
        load_id = min((one.load_id for one in stored), default=None)
        definitions = {one.table_name: one.definition for one in stored}
        if last and last["definitions"] == definitions:
            since = last["load_id"]
        is_incremental = wanted.incremental or since is not None
        if is_incremental and (since or 0) > (load_id or 0):
            raise TidemarkError(f"{table} stands at tide mark {load_id}: there is nothing after {since} to export.")
        keys = [one.key or [] for one in stored]
        touched = selection.touched(owner, table, keys, since or 0, load_id or 0) if is_incremental else None
        if since is not None and not touched.values:
            return None
        where = selection.conditions(table, wanted.where, zone) + ([touched.condition()] if since is not None else [])
        source = _from(table, where)
        taken_at, postgresql = owner.execute("select now(), current_setting('server_version')").fetchone()
        export_id = str(uuid4())
        stamp = {"export_id": export_id, "table": str(table), "taken_at": taken_at.isoformat(), "load_id": str(load_id)}
        with _told(table, wanted):
            known = totals(reader, table, source)
            rows = formats.write(wanted.format, reader, table, source, known, stamp, file, progress)
    if rows != known.rows:
        raise TidemarkError(f"{table}: {rows:,} rows were written of {known.rows:,}: export it again, and report this.")
    with file.open("rb") as written:
        checksum = file_digest(written, "sha256").hexdigest()
    return {
        "export_id": export_id,
        "name": name,
        "table": str(table),
        "file": f"{name}-{taken_at:%Y%m%dT%H%M%SZ}-{export_id[:8]}.{wanted.format}",
        "format": wanted.format,
        "bytes": file.stat().st_size,
        "sha256": checksum,
        "rows": rows,
        "schema": _schema(wanted.format, table, known),
        "control_totals": known.columns,
        "where": wanted.where,
        "since": since,
        "replaces": {"columns": touched.columns, "values": touched.values} if since is not None else WHOLE,
        "load_id": load_id,
        "tide_marks": {one.table_name: {"load_id": one.load_id, "built_at": one.built_at} for one in stored},
        "definitions": definitions,
        "timezone": str(zone),
        "taken_at": taken_at,
        "requested_by": actor,
        "login": wanted.login,
        "postgresql": postgresql,
        "pyarrow": version("pyarrow"),
    }


def _from(table: selection.Table, where: list[sql.Composable]) -> sql.Composed:
    condition = sql.SQL(" where {}").format(sql.SQL(" and ").join(where)) if where else sql.SQL("")
    return sql.SQL("from {}{}").format(table.identifier, condition)


@contextmanager
def _told(table: selection.Table, wanted: Export) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise TidemarkError(
            f"{wanted.login or 'The owner'} may not read {table}: grant it, or export another."
        ) from error
    except psycopg.errors.DataError as error:
        raise TidemarkError(f"A condition does not fit {table}: {error.diag.message_primary}.") from error


def _schema(format_name: str, table: selection.Table, known: Totals) -> list[dict]:
    return [
        {"name": one.name, "type": one.type, "written_as": formats.written_as(format_name, one, known)}
        for one in table.columns
    ]


def _text(manifest: dict) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _put_manifest(target: Place, manifest: dict, name: str) -> None:
    file = target.spool() / f".{manifest['name']}.manifest.part"
    try:
        file.write_text(_text(manifest), encoding="utf-8")
        target.put(file, name)
    finally:
        file.unlink(missing_ok=True)


def _selected(wanted: Export) -> dict:
    """What an increment has to have in common with the one before."""
    where = sorted(map(selection.nameless, wanted.where))
    return {"table": wanted.table, "where": where, "to": wanted.to, "login": wanted.login}


def _last(name: str, wanted: Export) -> dict | None:
    """What the last export of this name took, that of the same rows to the same place."""
    with database.connect("auditor") as connection:
        row = connection.execute(
            """select detail from ops.audit
               where action = 'export delivered' and detail ->> 'name' = %s
               order by audit_id desc limit 1""",
            [name],
        ).fetchone()
    return row[0] if row and row[0]["selected"] == _selected(wanted) and row[0]["load_id"] is not None else None


def _record(connection: psycopg.Connection, manifest: dict, to: str) -> None:
    told = ("export_id", "name", "file", "format", "since", "rows", "sha256", "load_id", "login")
    where = [selection.nameless(condition) for condition in manifest["where"]]
    personal = sorted(filter(selection.may_name_people, (column["name"] for column in manifest["schema"])))
    with connection.transaction():
        audit.record(
            connection, "export", manifest["table"], actor=manifest["requested_by"],
            to=to, where=where, **{key: manifest[key] for key in told}, **({"personal": personal} if personal else {}),
        )  # fmt: skip


def _webhook(name: str, wanted: Export) -> None:
    """Raises TidemarkError unless the channel that an export names is there, and is a webhook."""
    known = settings.alerts().channels if wanted.webhook else {}
    if wanted.webhook and not isinstance(known.get(wanted.webhook), settings.WebhookChannel):
        where = settings.place("exports.yml", "exports", name, "webhook")
        raise TidemarkError(f"{where}: config/alerts.yml has no channel {wanted.webhook!r} of kind webhook: add it.")


def _tell(connection: psycopg.Connection, channel: str, manifest: dict, written: list[str]) -> None:
    told = ("export_id", "name", "table", "format", "rows", "bytes", "sha256", "since", "load_id", "taken_at")
    payload = json.loads(_text({key: manifest[key] for key in told})) | {
        "type": "export.ready",
        "message": f"{manifest['name']} is exported: {manifest['rows']:,} rows",
        "timestamp": manifest["taken_at"].isoformat(),
        "file": written[0],
        "manifest": written[1],
    }
    outbox.enqueue_payload(
        connection, channel, lambda _: payload, topic=f"export {manifest['name']}", key=manifest["export_id"]
    )
