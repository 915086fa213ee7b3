"""The life of an incident in the database: open, acknowledged, resolved, opened again; with who did what, and when.

When one opens is the rules' affair (`evaluation`), who is told of it that of `telling`.
"""

from datetime import datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError

SYSTEM = "tidemark"


def open_incidents(connection: psycopg.Connection) -> list[dict]:
    """The incidents that are not resolved, the longest open first. `connection` gives rows as dictionaries."""
    query = "select * from ops.incidents where status <> 'resolved' order by opened_hour, incident_id"
    return connection.execute(query).fetchall()


def recent_incidents(connection: psycopg.Connection, limit: int = 20) -> list[dict]:
    """The newest incidents by the hour in which they began, open or not."""
    query = "select * from ops.incidents order by opened_hour desc, incident_id desc limit %s"
    return connection.execute(query, [limit]).fetchall()


def incident(connection: psycopg.Connection, incident_id: int) -> dict:
    """One incident with its history and its messages. Raises TidemarkError when there is none."""
    found = _read(connection, incident_id)
    history = "select at, actor, action, detail from ops.incident_history where incident_id = %s order by history_id"
    messages = """select receiver, event, told.at, outbox.status, outbox.fate, outbox.last_error
                  from ops.incident_messages as told left join ops.outbox using (message_id)
                  where incident_id = %s order by told.at, receiver"""
    return found | {
        "history": connection.execute(history, [incident_id]).fetchall(),
        "messages": connection.execute(messages, [incident_id]).fetchall(),
    }


def begin(connection: psycopg.Connection, now: datetime, reopen_within: timedelta, columns: dict) -> int:
    """Open an incident, or open the last one of its fingerprint again when that resolved within `reopen_within`."""
    before = connection.execute(
        """select incident_id, resolved_hour from ops.incidents
           where fingerprint = %s order by incident_id desc limit 1""",
        [columns["fingerprint"]],
    ).fetchone()
    columns = columns | {"evidence": Jsonb(columns.get("evidence", {}))}
    if before and before["resolved_hour"] + reopen_within > columns["opened_hour"]:
        kept = {key: value for key, value in columns.items() if key not in ("fingerprint", "opened_hour", "rule")}
        changes = ", ".join(f"{name} = %({name})s" for name in kept)
        connection.execute(
            f"""update ops.incidents
                set status = 'open', resolved_hour = null, resolved_at = null, openings = openings + 1, told_at = null,
                    escalations = 0, snoozed_until = null, is_settled = false, {changes}
                where incident_id = %(incident_id)s""",
            kept | {"incident_id": before["incident_id"]},
        )
        note(connection, before["incident_id"], now, SYSTEM, "reopened", columns["detail"])
        return before["incident_id"]
    names, places = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    opened = connection.execute(
        f"""insert into ops.incidents (status, opened_at, {names}) values ('open', %(now)s, {places})
            returning incident_id""",
        columns | {"now": now},
    ).fetchone()["incident_id"]
    note(connection, opened, now, SYSTEM, "opened", columns["detail"])
    return opened


def end(connection: psycopg.Connection, now: datetime, cause: str, hour: datetime | None, why: str = "") -> int:
    """Resolve the open incident of a fingerprint with the hour in which it was over; return its id."""
    resolved = connection.execute(
        """update ops.incidents
           set status = 'resolved', resolved_hour = greatest(%s::timestamptz, opened_hour), resolved_at = %s
           where fingerprint = %s and status <> 'resolved' returning incident_id""",
        [hour, now, cause],
    ).fetchone()["incident_id"]
    note(connection, resolved, now, SYSTEM, "resolved", why)
    return resolved


def acknowledge(connection: psycopg.Connection, incident_id: int, actor: str, now: datetime) -> dict:
    """Somebody takes care: it does not escalate any more. Raises TidemarkError unless it is open."""
    found = _unresolved(connection, incident_id)
    if found["status"] == "open":
        connection.execute("update ops.incidents set status = 'acknowledged' where incident_id = %s", [incident_id])
        note(connection, incident_id, now, actor, "acknowledged")
    return _read(connection, incident_id)


def snooze(connection: psycopg.Connection, incident_id: int, actor: str, now: datetime, until: datetime) -> dict:
    """Say nothing of it until then; if it still lasts, its receivers are reminded. Raises TidemarkError."""
    _unresolved(connection, incident_id)
    if until <= now:
        raise TidemarkError(f"An incident cannot be snoozed until {until:%Y-%m-%d %H:%M %Z}, which is past.")
    connection.execute("update ops.incidents set snoozed_until = %s where incident_id = %s", [until, incident_id])
    note(connection, incident_id, now, actor, "snoozed", f"until {until:%Y-%m-%d %H:%M %Z}")
    return _read(connection, incident_id)


def resolve(connection: psycopg.Connection, incident_id: int, actor: str, now: datetime, why: str = "") -> dict:
    """Somebody says that it is over. What breaches again within the window opens it again. Raises TidemarkError."""
    found = _unresolved(connection, incident_id)
    connection.execute(
        """update ops.incidents
           set status = 'resolved', resolved_at = %(now)s,
               resolved_hour = greatest(
                   opened_hour,
                   (select hour from ops.alert_marks where alert_marks.fingerprint = incidents.fingerprint)
               )
           where incident_id = %(incident)s""",
        {"incident": found["incident_id"], "now": now},
    )
    note(connection, incident_id, now, actor, "resolved", why)
    return _read(connection, incident_id)


def comment(connection: psycopg.Connection, incident_id: int, actor: str, now: datetime, text: str) -> dict:
    """Write something down in the history. Raises TidemarkError for an empty text."""
    if not text.strip():
        raise TidemarkError("A comment needs words.")
    found = _read(connection, incident_id)
    note(connection, incident_id, now, actor, "commented", text.strip())
    return found


def silence(
    connection: psycopg.Connection, fingerprint: str, actor: str, now: datetime, until: datetime, reason: str = ""
) -> dict:
    """Hold back what is told of incidents whose fingerprint begins so, until then: a rule's name silences the rule."""
    if until <= now:
        raise TidemarkError(f"A silence cannot end at {until:%Y-%m-%d %H:%M %Z}, which is past.")
    made = connection.execute(
        """insert into ops.silences (fingerprint, starts_at, ends_at, actor, reason)
           values (%s, %s, %s, %s, %s) returning *""",
        [fingerprint, now, until, actor, reason],
    ).fetchone()
    for row in open_incidents(connection):
        if is_silenced(row, [made]):
            note(connection, row["incident_id"], now, actor, "silenced", f"until {until:%Y-%m-%d %H:%M %Z}")
    return made


def silences(connection: psycopg.Connection, now: datetime) -> list[dict]:
    """The silences that hold now."""
    query = "select * from ops.silences where starts_at <= %(now)s and ends_at > %(now)s order by silence_id"
    return connection.execute(query, {"now": now}).fetchall()


def is_silenced(row: dict, active: list[dict]) -> bool:
    """Whether one of these silences covers an incident: its fingerprint, or a beginning of it up to a part's end."""
    return any(
        row["fingerprint"] == one["fingerprint"] or row["fingerprint"].startswith(one["fingerprint"] + "|")
        for one in active
    )


def note(
    connection: psycopg.Connection, incident_id: int, now: datetime, actor: str, action: str, detail: str = ""
) -> None:
    """Write into the history who did what when."""
    connection.execute(
        "insert into ops.incident_history (incident_id, at, actor, action, detail) values (%s, %s, %s, %s, %s)",
        [incident_id, now, actor, action, detail],
    )


def _read(connection: psycopg.Connection, incident_id: int, lock: str = "") -> dict:
    found = connection.execute(f"select * from ops.incidents where incident_id = %s {lock}", [incident_id]).fetchone()
    if found is None:
        raise TidemarkError(f"There is no incident {incident_id}: `./tidemark alerts list` shows those there are.")
    return found


def _unresolved(connection: psycopg.Connection, incident_id: int) -> dict:
    found = _read(connection, incident_id, "for update")
    if found["status"] == "resolved":
        raise TidemarkError(f"Incident {incident_id} is resolved: nothing can be done about it any more.")
    return found
