"""Which rows of which table an export takes, and in which types. No file is written here.

Names and values come from people: names are looked up in the catalogue, values are bound as literals of their column's
type, and no text of theirs becomes SQL.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from orchestration.errors import TidemarkError
from orchestration.settings import settings
from orchestration.warehouse.names import is_of_people
from orchestration.warehouse.pseudonyms import Pseudonyms

Kind = Literal["integer", "decimal", "float", "boolean", "moment", "datetime", "date", "time", "text", "json"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **dict.fromkeys(("real", "double precision"), "float"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    "numeric": "decimal",
    "boolean": "boolean",
    "timestamp with time zone": "moment",
    "timestamp without time zone": "datetime",
    "date": "date",
    "time without time zone": "time",
}
_CONDITION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column of the table. `type` is PostgreSQL's name; an array or a type that no format knows is JSON or text."""

    name: str
    type: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """A view of api or a table of marts."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise TidemarkError(f"{self} has no column {name!r}: it has {', '.join(one.name for one in self.columns)}.")


@dataclass(frozen=True)
class Touched:
    """What loads after one mark, up to another, had computed again: the values of `columns` whose rows are replaced."""

    columns: tuple[str, ...]
    values: list[tuple]

    def condition(self) -> sql.Composed:
        types = {"hour": "timestamptz", "day": "date", "start_date": "date", "grain": "text"}
        arrays = [
            sql.SQL("{}::{}[]").format([row[place] for row in self.values], sql.SQL(types[column]))
            for place, column in enumerate(self.columns)
        ]
        names = sql.SQL(", ").join(map(sql.Identifier, self.columns))
        return sql.SQL("({}) in (select * from unnest({}))").format(names, sql.SQL(", ").join(arrays))


def find(connection: psycopg.Connection, name: str) -> Table:
    """A table by its name, with or without its schema. Raises TidemarkError when api and marts have none of it."""
    schema, _, bare = name.rpartition(".")
    rows = connection.execute(
        """select nspname, attname, format_type(atttypid, null)
           from pg_class
           join pg_namespace on pg_namespace.oid = relnamespace
           join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
           where relname = %s and nspname = any(%s) and relkind in ('r', 'v', 'm', 'p')
           order by nspname, attnum""",
        [bare, [schema] if schema in ("api", "marts") else [] if schema else ["api", "marts"]],
    ).fetchall()
    if not rows:
        raise TidemarkError(
            f"There is no table {name!r} to export: give a view of api or a table of marts, such as metric_daily; "
            f"`./tidemark status` lists what is built."
        )
    found = rows[0][0]
    columns = tuple(Column(column, kind, _kind(kind)) for owner, column, kind in rows if owner == found)
    return Table(found, bare, columns)


def _kind(type_name: str) -> Kind:
    return "json" if type_name.endswith("[]") else KINDS.get(type_name, "text")


def conditions(table: Table, texts: Sequence[str], zone: ZoneInfo) -> list[sql.Composable]:
    """Texts such as `metric=revenue` as SQL. Several with = on one column: any of them. Raises TidemarkError."""
    equal: dict[str, list[str]] = {}
    others = []
    for text in texts:
        matched = _CONDITION.fullmatch(text)
        if not matched:
            raise TidemarkError(f"{text!r} is no condition: write COLUMN=VALUE, or another of != < <= > >= for =.")
        column, operator = table.column(matched[1]), matched[2]
        value = _value(column, matched[3].strip(), zone)
        if operator == "=":
            equal.setdefault(column.name, []).append(value)
        else:
            others.append(
                sql.SQL("{} {} {}::{}").format(
                    sql.Identifier(column.name), sql.SQL(operator), value, sql.SQL(column.type)
                )
            )
    any_of = [
        sql.SQL("{} = any({}::{}[])").format(sql.Identifier(name), values, sql.SQL(table.column(name).type))
        for name, values in equal.items()
    ]
    return any_of + others


def may_name_people(column: str) -> bool:
    """Whether a column of api or marts has people in it: a `name` is a person's where its scope is people."""
    return is_of_people(column) or column == "name"


def nameless(condition: str) -> str:
    """A condition as the audit keeps it, for good: who is named in it has a pseudonym there."""
    matched = _CONDITION.fullmatch(condition)
    if not (matched and may_name_people(matched[1])):
        return condition
    return f"{matched[1]}{matched[2]}{Pseudonyms(settings().key).of(matched[3].strip())}"


def _value(column: Column, text: str, zone: ZoneInfo) -> str:
    """The text of a value; of a moment without an offset, with that of the tenant's clock."""
    if column.kind != "moment":
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TidemarkError(
            f"{text!r} is no time for {column.name}: write 2026-03-01 or 2026-03-01T10:00+01:00."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def touched(connection: psycopg.Connection, table: Table, keys: list[list[str]], after: int, up_to: int) -> Touched:
    """What the loads in (after, up_to] had computed again of a table whose stored tables have these keys.

    Exactly what a refresh computes again, hours that became final among it. Raises TidemarkError for a table that
    doesn't change by hours, days or periods, so that nobody could tell which of its rows are gone.
    """
    names = {column.name for column in table.columns}
    views = {
        ("hour",): "select hour from ops.touched_or_settled",
        ("day",): "select day from ops.touched_days",
        ("grain", "start_date"): "select grain, start_date from ops.touched_periods",
    }
    for columns, query in views.items():
        if names.issuperset(columns) and keys and all(set(columns) <= set(key) for key in keys):
            connection.execute(
                "select set_config('tidemark.after', %s, true), set_config('tidemark.up_to', %s, true)",
                [str(after), str(up_to)],
            )
            return Touched(columns, connection.execute(f"{query} order by {', '.join(columns)}").fetchall())
    raise TidemarkError(
        f"{table} does not change by hours, days or periods, so nobody could be told which of its rows are gone but by "
        "naming them (somebody who was erased, for one): export it whole, without --since or `incremental`."
    )
