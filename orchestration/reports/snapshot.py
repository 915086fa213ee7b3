"""All queries of a report, answered by one read-only snapshot of the warehouse. Nothing here formats or judges."""

import gzip
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from orchestration.errors import TidemarkError
from orchestration.warehouse import access, database

SHARED = Path(__file__).parent / "queries"
OF_THE_PIPELINE = ("tenant", "marks", "held", "above")  # facts about the figures, not figures of anybody
NEEDS = re.compile(r"^-- needs (\S+)$", re.MULTILINE)
READS = re.compile(r"\b(?:from|join)\s+(api\.[a-z_]+)")
MONTHS = {"month": 1, "quarter": 3}
NAMES = re.compile(r"(\d{4})-(?:W(\d\d)|Q([1-4])|(\d\d)(?:-(\d\d))?)")

Row = dict


@dataclass(frozen=True)
class Period:
    """The days that a report is about, both included: a day, a week from Monday, a month or a quarter."""

    grain: str
    first: date
    last: date

    @classmethod
    def beginning(cls, grain: str, first: date) -> "Period":
        if grain in MONTHS:
            months = first.year * 12 + first.month - 1 + MONTHS[grain]
            return cls(grain, first, date(months // 12, months % 12 + 1, 1) - timedelta(days=1))
        return cls(grain, first, first + timedelta(days=6 if grain == "week" else 0))

    @classmethod
    def newest(cls, grain: str, last_day: date) -> "Period":
        """The newest one that is over at the end of a day."""
        tomorrow = last_day + timedelta(days=1)
        starts = {
            "day": tomorrow,
            "week": tomorrow - timedelta(days=tomorrow.weekday()),
            "month": tomorrow.replace(day=1),
            "quarter": tomorrow.replace(month=(tomorrow.month - 1) // 3 * 3 + 1, day=1),
        }
        before = starts[grain] - timedelta(days=1)
        first = {
            "day": before,
            "week": before - timedelta(days=6),
            "month": before.replace(day=1),
            "quarter": before.replace(month=(before.month - 1) // 3 * 3 + 1, day=1),
        }[grain]
        return cls(grain, first, before)

    @classmethod
    def named(cls, name: str) -> "Period":
        """The period that `name` names. Raises TidemarkError when it names none."""
        if found := NAMES.fullmatch(name):
            year, week, quarter, month, day = (part and int(part) for part in found.groups())
            try:
                if week:
                    return cls.beginning("week", date.fromisocalendar(year, week, 1))
                if quarter:
                    return cls.beginning("quarter", date(year, 3 * quarter - 2, 1))
                return cls.beginning("day" if day else "month", date(year, month, day or 1))
            except ValueError:
                pass  # the 53rd week of a year that has 52, the 31st of April
        raise TidemarkError(f"{name!r} is no period: give a day, week, month or quarter such as 2026-W10 or 2026-03.")

    @property
    def name(self) -> str:
        """`2026-03-08`, `2026-W10`, `2026-03` or `2026-Q1`."""
        quarter = (self.first.month + 2) // 3
        patterns = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "quarter": f"%Y-Q{quarter}"}
        return self.first.strftime(patterns[self.grain])


@dataclass(frozen=True)
class Snapshot:
    """What a report was told: `rows` by the name of its query, and what is true of all of them."""

    tenant: str
    currency: str
    timezone: str
    period: Period
    parameters: dict[str, str | int | None]
    login: str | None
    rows: dict[str, list[Row] | None]  # None: what the query needs does not exist yet, or is not this reader's
    marks: list[Row]  # table_name, load_id, built_at
    held: list[Row]  # table_name, since, load_id, passed_load_id, sentence; of what the report is made of
    sent: list[Row]  # figures that this reader was sent, and that changed since
    taken_at: datetime
    postgresql: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def dump(self) -> bytes:
        """All of it, so that the report can be made again as it was."""
        return gzip.compress(json.dumps(asdict(self), default=_tagged, ensure_ascii=False).encode(), mtime=0)

    @classmethod
    def load(cls, dumped: bytes) -> "Snapshot":
        known = json.loads(gzip.decompress(dumped), object_hook=_untagged)
        return cls(**known | {"period": Period(**known["period"])})


def _tagged(value: object) -> dict:
    kinds = {Decimal: ("decimal", str), datetime: ("moment", datetime.isoformat), date: ("day", date.isoformat)}
    kind, write = kinds[type(value)]
    return {"~": kind, "is": write(value)}


def _untagged(known: dict) -> object:
    if "~" not in known:
        return known
    return {"decimal": Decimal, "moment": datetime.fromisoformat, "day": date.fromisoformat}[known["~"]](known["is"])


@dataclass(frozen=True)
class Asked:
    """Which report for whom: what the queries of a snapshot are given."""

    queries: tuple[tuple[str, str], ...]  # names and SQL
    grain: str
    period: Period | None = None  # none: the newest complete one
    metrics: tuple[str, ...] = ()  # the first leads
    is_of_all_metrics: bool = False
    parameters: tuple[tuple[str, str | int | None], ...] = ()
    login: str | None = None
    sent: str = "[]"  # figures that this reader was sent before, as JSON: metric, grain, start_date, value


def take(asked: Asked) -> Snapshot:
    """Run the queries of a report in one repeatable-read, read-only snapshot, with the rights of its reader.

    A query that says `-- needs schema.table` on a line of its own is not asked while that table does not exist, or
    where the reader has no right to it. The queries may name `%(grain)s`, `%(first_day)s` and `%(last_day)s` of the
    period, `%(metrics)s`, `%(lead)s`, and the report's parameters. Raises TidemarkError when nothing is published, and
    when the reader may not read what the report needs.
    """
    if asked.login:
        access.admit(asked.login)  # before the snapshot, which would not see what it changes
    with database.connect("report", autocommit=True) as connection, connection.transaction():
        cursor = connection.cursor(row_factory=dict_row)
        cursor.execute("set transaction isolation level repeatable read, read only")
        period = _period(cursor, asked)
        known = {"grain": period.grain, "first_day": period.first, "last_day": period.last}
        known |= {"metrics": list(asked.metrics), "lead": asked.metrics[0] if asked.metrics else None}
        known |= {"is_of_all_metrics": asked.is_of_all_metrics, "sent": asked.sent}
        known |= {"reads": _relations(asked.queries)} | dict(asked.parameters)
        shared = {name: _read(cursor, (SHARED / f"{name}.sql").read_text(), known) for name in OF_THE_PIPELINE}
        sent = _read(cursor, (SHARED / "sent.sql").read_text(), known)
        snapshot = cursor.execute("select pg_export_snapshot() as name").fetchone()["name"]
        with access.reader(asked.login, snapshot) as own:
            rows = _answers(own.cursor(row_factory=dict_row), asked, known)
    (tenant,) = shared["tenant"]
    above = {row["relation"] for row in shared["above"] or []}
    return Snapshot(
        tenant=tenant["name"],
        currency=tenant["currency"],
        timezone=tenant["timezone"],
        period=period,
        parameters=dict(asked.parameters),
        login=asked.login,
        rows=rows,
        marks=shared["marks"],
        held=[row for row in shared["held"] if not above or row["table_name"] in above],
        sent=sent,
        taken_at=tenant["taken_at"].astimezone(UTC),
        postgresql=tenant["postgresql"],
    )


def _relations(queries: tuple[tuple[str, str], ...]) -> list[str]:
    return sorted({relation for _, query in queries for relation in READS.findall(query)})


def _answers(cursor: psycopg.Cursor, asked: Asked, known: dict) -> dict[str, list[Row] | None]:
    rows = {}
    for name, query in asked.queries:
        try:
            rows[name] = _read(cursor, query, known)
        except psycopg.errors.InsufficientPrivilege as error:
            raise TidemarkError(
                f"The login {asked.login} may not read what the query {name} of the report needs "
                f"({error.diag.message_primary}): grant it, or take the reader off the report."
            ) from error
    return rows


def _period(cursor: psycopg.Cursor, asked: Asked) -> Period:
    exists = cursor.execute("select to_regclass('api.metric_daily') is not null as exists").fetchone()["exists"]
    found = cursor.execute((SHARED / "as_of.sql").read_text()).fetchone() if exists else {"last_day": None}
    if found["last_day"] is None:
        raise TidemarkError(
            "There is nothing to report: no complete day is published in api.metric_daily; "
            "load events with `./tidemark ingest` and run `./tidemark refresh`."
        )
    period = asked.period or Period.newest(asked.grain, found["last_day"])
    if period.last > found["last_day"] or period.last < found["first_day"]:
        raise TidemarkError(
            f"There is nothing to report for {period.name}: complete days are published from {found['first_day']} to "
            f"{found['last_day']}; name another period with --for."
        )
    return period


def _read(cursor: psycopg.Cursor, query: str, known: dict) -> list[Row] | None:
    for table in NEEDS.findall(query):
        may = cursor.execute(
            "select to_regclass(%s) is not null and has_table_privilege(to_regclass(%s)::oid, 'select') as may",
            [table, table],
        ).fetchone()["may"]
        if not may:
            return None
    rows = cursor.execute(query, known).fetchall()
    return [{column: _printable(value) for column, value in row.items()} for row in rows]


def _printable(value):
    """Text without control characters: no event may move a terminal's cursor or break a mail's header."""
    if isinstance(value, list):
        return [_printable(one) for one in value]
    if not isinstance(value, str):
        return value.astimezone(UTC) if isinstance(value, datetime) else value
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
