"""Looking into `raw.quarantine`. What puts records there is the contract and the loader."""

import psycopg
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError
from orchestration.ingest.contract import Reason


def listed(
    connection: psycopg.Connection, source: str | None = None, reason: str | None = None, limit: int = 50
) -> list[dict]:
    """The newest refused records: quarantine_id, load_id, source, locator, position, reason, detail, replayed_at.

    Raises TidemarkError when `reason` is not one of the closed list.
    """
    if reason is not None and reason not in set(Reason):
        raise TidemarkError(f"{reason!r} is not a reason for quarantine: use one of {', '.join(Reason)}.")
    query = """
        select quarantine_id, load_id, source, locator, position, reason, detail, replayed_at
        from raw.quarantine
        where source = coalesce(%s, source) and reason = coalesce(%s, reason)
        order by quarantine_id desc
        limit %s"""
    return _rows(connection, query, [source, reason, limit])


def show(connection: psycopg.Connection, quarantine_id: int) -> dict:
    """One refused record with its `payload`, the bytes as they came. Raises TidemarkError when there is none."""
    found = _rows(connection, "select * from raw.quarantine where quarantine_id = %s", [quarantine_id])
    if not found:
        raise TidemarkError(f"There is no record {quarantine_id} in quarantine: see `./tidemark quarantine list`.")
    return found[0]


def _rows(connection: psycopg.Connection, query: str, values: list) -> list[dict]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
