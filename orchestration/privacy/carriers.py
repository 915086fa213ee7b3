"""Where in the databases a person may be named: every text, JSON and byte column that the catalogue knows.

Nothing here knows a table by name but the few that follow rules of their own: what is added tomorrow is covered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Json, Jsonb

from orchestration.privacy.contents import names_in, texts
from orchestration.warehouse.names import ERASED, OF_PEOPLE, Names, found_in, masked, masked_in, plain

_TEXTS = ("text", "character varying", "character", "name", "text[]", "character varying[]")
_JSONS = ("json", "jsonb")
_COUNTED = "entity"  # who or what is behind a count: it may be a person, and the count stays without the name
_ROWS_AT_ONCE = 2_000
_LONGEST_HASH = 32  # bytes

# Rows of these are only ever added to, and name people by pseudonym at most: they stay, and the certificate says so.
KEPT = ("ops.audit",)


@dataclass(frozen=True)
class Carrier:
    """A relation that stores rows, and those of its columns in which a person may be named, with their types."""

    schema: str
    name: str
    kind: str  # of pg_class: r a table, m a materialized view
    columns: dict[str, str]
    is_built: bool  # by dbt
    is_tally: bool  # kept by triggers: it follows the rows that it counts

    @property
    def relation(self) -> str:
        return f"{self.schema}.{self.name}"

    @cached_property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def is_event(self) -> bool:
        return self.schema == "raw" and self.name.startswith("events")


@dataclass(frozen=True)
class Found:
    """A row in which a person is named: where it lies, the columns with what they hold, and the names in each."""

    ctid: str
    values: dict[str, object]
    names: dict[str, set[str]]


def carriers(connection: psycopg.Connection) -> list[Carrier]:
    """Every table, partition and materialized view of the database with a column that could name somebody."""
    query = """
        select nspname, relname, relkind, json_object_agg(attname, format_type(atttypid, null) order by attnum),
               exists (select from pg_trigger join pg_proc on pg_proc.oid = tgfoid
                       where proname = relname || '_kept' and pronamespace = pg_namespace.oid)
        from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
        join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        where relkind in ('r', 'm') and nspname <> 'information_schema' and nspname !~ '^pg_'
          and format_type(atttypid, null) = any(%s)
        group by 1, 2, 3, pg_namespace.oid order by 1, 2"""
    built = _built(connection)
    rows = connection.execute(query, [[*_TEXTS, *_JSONS, "bytea"]]).fetchall()
    return [Carrier(*row[:2], str(row[2]), row[3], f"{row[0]}.{row[1]}" in built, row[4]) for row in rows]


def _built(connection: psycopg.Connection) -> set[str]:
    if connection.execute("select to_regclass('ops.definitions')").fetchone()[0] is None:
        return set()
    return {relation for (relation,) in connection.execute("select relation from ops.definitions").fetchall()}


def search(connection: psycopg.Connection, carrier: Carrier, names: Names, *, lock: bool = False) -> Iterator[Found]:
    """The rows of a relation in which somebody is named. The database sifts by LIKE where it can; what is left is read.

    With `lock`, the rows stay as they are until the transaction ends.
    """
    listed = sql.SQL(", ").join(map(sql.Identifier, carrier.columns))
    query = sql.SQL("select ctid::text as ctid, {} from {}").format(listed, carrier.identifier)
    parameters: dict = {}
    if names.likes is not None:
        query += sql.SQL(" where ") + sql.SQL(" or ").join(_sieve(*column) for column in carrier.columns.items())
        parameters = {"likes": names.likes, "names": list(names.names)}
    if lock and carrier.kind == "r":
        query += sql.SQL(" for update")
    # Few rows come through a sieve of texts; without a server-side cursor the database sifts on all its cores.
    is_sieved = bool(parameters) and "bytea" not in carrier.columns.values()
    with connection.cursor(*([] if is_sieved else ["people"]), row_factory=dict_row) as cursor:
        if not is_sieved:
            cursor.itersize = _ROWS_AT_ONCE
        for row in cursor.execute(query, parameters):
            ctid = row.pop("ctid")
            named = {column: found for column, value in row.items() if (found := named_in(names, column, value))}
            if named:
                yield Found(ctid, row, named)


def _sieve(column: str, kind: str) -> sql.Composable:
    name = sql.Identifier(column)
    if kind == "bytea":
        return sql.SQL("octet_length({}) > {}").format(name, _LONGEST_HASH)
    if kind in _TEXTS and (column == _COUNTED or plain(column) in OF_PEOPLE):
        return sql.SQL('(lower({0}::text collate "C") like any(%(likes)s) or {0}::text = any(%(names)s))').format(name)
    return sql.SQL('lower({}::text collate "C") like any(%(likes)s)').format(name)


def named_in(names: Names, column: str, value: object) -> set[str]:
    """The names in a value of a column."""
    if value is None:
        return set()
    if isinstance(value, bytes | memoryview):
        return names_in(names, bytes(value)) if len(value) > _LONGEST_HASH else set()
    return found_in(names, value, "entity_id" if column == _COUNTED else column)


def rows_about(connection: psycopg.Connection, carrier: Carrier, names: Names) -> Iterator[dict]:
    """The whole rows that name the person where people are named, or in their bytes, which are given as text."""
    query = sql.SQL("select to_jsonb(stored) from {} as stored where ctid = %s").format(carrier.identifier)
    for found in list(search(connection, carrier, names)):
        if any(plain(column) in OF_PEOPLE or carrier.columns[column] == "bytea" for column in found.names):
            (row,) = connection.execute(query, [found.ctid]).fetchone()
            opened = {name: "".join(texts(bytes(value))) for name, value in found.values.items()
                      if carrier.columns[name] == "bytea" and value is not None}  # fmt: skip
            yield row | opened


def make_nameless(connection: psycopg.Connection, carrier: Carrier, found: Found, names: Names) -> str:
    """Remove a row that is about the person, or take their names out of one that mentions them; say which was done.

    About them are rows that name them where people are named, and rows whose bytes name them, such as a message.
    """
    is_about = any(
        carrier.columns[column] == "bytea" or (plain(column) in OF_PEOPLE and found.values[column] in written)
        for column, written in found.names.items()
    )
    here = {"ctid": found.ctid}
    if is_about:
        return _delete(connection, carrier, here)
    try:
        with connection.transaction():
            changes = sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in found.names
            )
            query = sql.SQL("update {} set {} where ctid = %(ctid)s").format(carrier.identifier, changes)
            values = {
                column: _nameless(names, column, found.values[column], carrier.columns[column])
                for column in found.names
            }
            connection.execute(query, here | values)
        return "made nameless"
    except (psycopg.errors.UniqueViolation, psycopg.errors.CheckViolation):
        return _delete(connection, carrier, here)  # without the name it would be another one's, or nobody's


def _nameless(names: Names, column: str, value: object, kind: str) -> object:
    if kind in _JSONS:
        return (Jsonb if kind == "jsonb" else Json)(masked_in(names, value, column))
    if isinstance(value, list):
        return [item and masked(names, item) for item in value]
    return ERASED if names.is_one(value) else masked(names, value)


def _delete(connection: psycopg.Connection, carrier: Carrier, here: dict) -> str:
    connection.execute(sql.SQL("delete from {} where ctid = %(ctid)s").format(carrier.identifier), here)
    return "removed"
