"""Tables and views of a PostgreSQL, read in the order of a cursor column, some thousand rows a load."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from orchestration.ingest.sources.arrival import Pending, SourceFailure, in_memory, standing_at
from orchestration.settings import Postgres, Source, filled

LOAD_ROWS = 50_000
LOAD_BYTES = 16 * 1024 * 1024
FETCH_ROWS = 2_000  # at a time from the server's cursor
_TIMES = ("timestamp with time zone", "timestamp without time zone", "date")
_NUMBERS = ("smallint", "integer", "bigint", "numeric")


@dataclass(frozen=True)
class _Table:
    """What a query needs: the name, and the columns of the order with their types; the first is the cursor."""

    name: sql.Identifier
    columns: dict[str, str]

    @property
    def order(self) -> sql.Composable:
        return sql.SQL(", ").join(sql.Identifier("row", column) for column in self.columns)

    @property
    def is_timed(self) -> bool:
        return next(iter(self.columns.values())) in _TIMES

    def values(self, place: list[str]) -> sql.Composable:
        """A place in the order, as `(cursor, key, …)`."""
        typed = zip(place, self.columns.values(), strict=True)
        return sql.SQL(", ").join(sql.SQL("{}::text::" + kind).format(value) for value, kind in typed)


@dataclass(frozen=True)
class _Page:
    lines: bytes  # rows as JSON objects, one a line
    place: list[str]  # of its last row, as texts
    is_ahead: bool  # of everything that was read in earlier runs


def pending(connection: psycopg.Connection, name: str, source: Source) -> Iterator[Pending]:
    """The rows that the table has now, from the cursor on less the overlap, in pages of bounded size.

    A row that was committed behind the cursor is found as long as it lies in the overlap; those that were read before
    come again, and their event_id tells it. Raises SourceFailure when the table cannot be read.
    """
    config = source.postgres
    locator = f"postgres:{config.table}"
    before = standing_at(connection, name, locator)
    reached = before["place"] if before else None
    with _connected(name, config) as origin:
        table = _described(origin, name, config)
        newest = _newest(origin, table, source.timezone)
        place = None
        while page := _page(origin, table, config, source.timezone, newest, reached, place):
            place = page.place
            cursor = {"place": page.place if page.is_ahead else reached}
            yield locator, partial(in_memory, locator, page.lines, cursor)
        _refuse_unreadable(origin, name, table)


def reach(name: str, source: Source) -> str:
    """The table, which has the columns of its order. Raises SourceFailure."""
    with _connected(name, source.postgres) as origin:
        _described(origin, name, source.postgres)
    return f"{source.postgres.table} answers"


@contextmanager
def _connected(name: str, config: Postgres) -> Iterator[psycopg.Connection]:
    """A connection that only reads. What is wrong is said without the password."""
    url = filled(config.url)
    try:
        password = conninfo_to_dict(url).get("password") or ""
    except psycopg.ProgrammingError:
        raise SourceFailure(f"Source {name!r}: its url is not that of a PostgreSQL: correct it.") from None
    try:
        with psycopg.connect(url, connect_timeout=10, application_name="tidemark", prepare_threshold=None) as origin:
            origin.read_only = True
            yield origin
    except psycopg.Error as error:
        said = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
        said = said.replace(password, "…") if password else said
        raise SourceFailure(
            f"Source {name!r}: {config.table} cannot be read ({said}): check the server and the rights of its user."
        ) from None


def _described(origin: psycopg.Connection, name: str, config: Postgres) -> _Table:
    identifier = sql.Identifier(*config.table.split("."))
    with origin.transaction():
        found = origin.execute(
            """select attname, regexp_replace(format_type(atttypid, atttypmod), '\\(.*?\\)', '')
               from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped""",
            [identifier.as_string(origin)],
        ).fetchall()
    types = dict(found)
    if not types:
        raise SourceFailure(f"Source {name!r}: there is no table {config.table}: correct config/sources.yml.")
    columns = list(dict.fromkeys([config.cursor, *config.key]))
    for column in columns:
        if column not in types:
            raise SourceFailure(
                f"Source {name!r}: {config.table} has no column {column!r}, but {', '.join(types)}: "
                "correct config/sources.yml."
            )
    kind = types[config.cursor]
    if kind not in _TIMES + _NUMBERS:
        raise SourceFailure(f"Source {name!r}: the cursor {config.cursor!r} is {kind}: give a time or a number.")
    if (kind in _TIMES) != isinstance(config.overlap, timedelta):
        example = "PT1H" if kind in _TIMES else "1000"
        raise SourceFailure(
            f"Source {name!r}: the cursor {config.cursor!r} is {kind}: give an overlap such as {example}."
        )
    return _Table(identifier, {column: types[column] for column in columns})


@contextmanager
def _reading(origin: psycopg.Connection, zone: str | None) -> Iterator[None]:
    """A short transaction: one that stays open keeps the source from cleaning up. Local times are those of `zone`."""
    with origin.transaction():
        origin.execute(
            """select set_config('TimeZone', %s, true), set_config('DateStyle', 'ISO', true),
                      set_config('extra_float_digits', '1', true), set_config('statement_timeout', '600000', true)""",
            [zone or "UTC"],
        )
        yield


def _newest(origin: psycopg.Connection, table: _Table, zone: str | None) -> str | None:
    """How far this run reads: a table that grows meanwhile is read on by the next.

    A time ahead of the source's clock is left until it has come: the cursor would stand there, and miss what follows.
    """
    cursor, kind = next(iter(table.columns.items()))
    query = "select max({cursor})::text from {table} as row"
    if table.is_timed:
        query += " where {cursor} <= now()::" + kind
    with _reading(origin, zone):
        found = origin.execute(sql.SQL(query).format(cursor=sql.Identifier("row", cursor), table=table.name))
        return found.fetchone()[0]


def _page(
    origin: psycopg.Connection,
    table: _Table,
    config: Postgres,
    zone: str | None,
    newest: str | None,
    reached: list[str] | None,
    place: list[str] | None,
) -> _Page | None:
    """The rows after `place`, or from `reached` less the overlap on, up to `newest`; None when there are none."""
    if newest is None:
        return None
    cursor, kind = next(iter(table.columns.items()))
    query = sql.SQL(
        """select row_to_json(row)::text, array[{texts}], {is_ahead} from {table} as row
           where {after} and {cursor} <= {newest}::text::{kind} order by {order} limit {limit}"""
    ).format(
        texts=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("row", column)) for column in table.columns),
        is_ahead=_after(table, reached),
        table=table.name,
        after=_after(table, place) if place or not reached else _overlapping(table, config, reached[0]),
        cursor=sql.Identifier("row", cursor),
        newest=newest,
        kind=sql.SQL(kind),
        order=table.order,
        limit=LOAD_ROWS,
    )
    lines, size, row = [], 0, None
    with _reading(origin, zone), origin.cursor(name="tidemark") as rows:
        rows.itersize = FETCH_ROWS
        for row in rows.execute(query):
            line = row[0].replace("\n", " ").encode()  # a column of type json keeps its own line ends
            lines.append(line)
            size += len(line)
            if size >= LOAD_BYTES:
                break
    return _Page(b"\n".join([*lines, b""]), *row[1:]) if row else None


def _after(table: _Table, place: list[str] | None) -> sql.Composable:
    if place is None:
        return sql.SQL("true")
    return sql.SQL("({}) > ({})").format(table.order, table.values(place))


def _overlapping(table: _Table, config: Postgres, reached: str) -> sql.Composable:
    cursor, kind = next(iter(table.columns.items()))
    behind = config.overlap if table.is_timed else sql.Literal(config.overlap)
    start = sql.SQL("{}::text::" + kind + " - {}").format(reached, behind)
    return sql.SQL("{} >= {}").format(sql.Identifier("row", cursor), start)


def _refuse_unreadable(origin: psycopg.Connection, name: str, table: _Table) -> None:
    """Say that rows have no place in the order: nothing else would ever tell."""
    cursor = next(iter(table.columns))
    conditions = [sql.SQL("{} is null").format(sql.Identifier("row", column)) for column in table.columns]
    if table.is_timed:
        conditions.append(sql.SQL("{} = 'infinity'").format(sql.Identifier("row", cursor)))
    query = sql.SQL("select exists (select from {} as row where {})").format(
        table.name, sql.SQL(" or ").join(conditions)
    )
    with origin.transaction():
        if origin.execute(query).fetchone()[0]:
            raise SourceFailure(
                f"Source {name!r}: rows without a value in {', '.join(table.columns)} are not read: fill it in there."
            )
