"""All queries of a report, answered by one read-only snapshot of the warehouse. Nothing here formats or judges."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError

SHARED = Path(__file__).parent / "queries"
NEEDS = re.compile(r"^-- needs (\S+)$", re.MULTILINE)
DAYS = 7  # the window of api.executive_summary

Row = dict


@dataclass(frozen=True)
class Period:
    """The days that a report is about, both included."""

    first: date
    last: date

    @property
    def name(self) -> str:
        """`2026-W10` for a week from Monday to Sunday, else `2026-03-04--2026-03-10`, as ISO 8601 writes them."""
        if self.first.isoweekday() == 1 and self.last - self.first == timedelta(days=6):
            return self.first.strftime("%G-W%V")
        return f"{self.first}--{self.last}"


@dataclass(frozen=True)
class Snapshot:
    """What a report was told: `rows` by the name of its query, and what is true of all of them."""

    tenant: str
    currency: str
    zone: ZoneInfo
    period: Period
    rows: dict[str, list[Row] | None]  # None: what the query needs does not exist yet
    marks: list[Row]  # table_name, load_id, built_at
    held: list[Row]  # table_name, since, load_id, passed_load_id, sentence
    taken_at: datetime
    postgresql: str


def take(queries: Path, connection: psycopg.Connection) -> Snapshot:
    """Run every `*.sql` of a folder, and the shared ones, in one repeatable-read, read-only transaction.

    A query that says `-- needs schema.table` on a line of its own is not asked while that table does not exist.
    The queries may name `%(as_of)s`, the last complete day, and `%(first_day)s`, six days before.
    Raises TidemarkError when nothing is published.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        period = _period(cursor)
        parameters = {"as_of": period.last, "first_day": period.first}
        shared = {path.stem: _read(cursor, path, parameters) for path in sorted(SHARED.glob("*.sql"))}
        rows = {path.stem: _read(cursor, path, parameters) for path in sorted(queries.glob("*.sql"))}
    (tenant,) = shared["tenant"]
    return Snapshot(
        tenant=tenant["name"],
        currency=tenant["currency"],
        zone=ZoneInfo(tenant["timezone"]),
        period=period,
        rows=rows,
        marks=shared["marks"],
        held=shared["held"],
        taken_at=tenant["taken_at"],
        postgresql=tenant["postgresql"],
    )


def _period(cursor: psycopg.Cursor) -> Period:
    exists = cursor.execute("select to_regclass('api.executive_summary') is not null as exists").fetchone()["exists"]
    newest = _read(cursor, SHARED / "as_of.sql", {})[0]["as_of"] if exists else None
    if newest is None:
        raise TidemarkError(
            "There is nothing to report: no complete day is published in api.executive_summary; "
            "load events with `./tidemark ingest` and run `./tidemark refresh`."
        )
    return Period(newest - timedelta(days=DAYS - 1), newest)


def _read(cursor: psycopg.Cursor, path: Path, parameters: dict) -> list[Row] | None:
    query = path.read_text(encoding="utf-8")
    for table in NEEDS.findall(query):
        if cursor.execute("select to_regclass(%s) is null as missing", [table]).fetchone()["missing"]:
            return None
    rows = cursor.execute(query, parameters).fetchall()
    return [{column: _printable(value) for column, value in row.items()} for row in rows]


def _printable(value):
    """Text without control characters: no event may move a terminal's cursor or break a mail's header."""
    if not isinstance(value, str):
        return value
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
