"""Control totals of an export, computed by the database in the export's own snapshot, apart from what is written."""

from dataclasses import dataclass
from decimal import Decimal

import psycopg
from psycopg import sql

from orchestration.exports.selection import Column, Kind, Table

_RANGE = {"min": "min({0})", "max": "max({0})"}
_ASKED: dict[Kind, dict[str, str]] = {
    "integer": {"sum": "sum({0})", **_RANGE},
    "decimal": {"sum": "sum({0})", **_RANGE, "scale": "max(scale({0}))"},
    "float": _RANGE,
    "boolean": {"true": "count(*) filter (where {0})"},
    "moment": {**_RANGE, "whole_seconds": "bool_and({0} = date_trunc('second', {0}))"},
    "datetime": {**_RANGE, "whole_seconds": "bool_and({0} = date_trunc('second', {0}))"},
    "date": _RANGE,
    "time": _RANGE,
    "text": {"characters": "sum(length({0}::text))"},
    "json": {},
}


@dataclass(frozen=True)
class Totals:
    """How many rows there are, and by column what `_ASKED` asks, as PostgreSQL writes it; None: no value."""

    rows: int
    columns: dict[str, dict[str, str | None]]

    def digits(self, column: Column) -> tuple[int, int] | None:
        """Of a number: the most digits before and behind the point; None where one is no finite number."""
        known = self.columns[column.name]
        ends = [Decimal(known[end] or 0) for end in ("min", "max")]
        if not all(end.is_finite() for end in ends):
            return None
        return max(end.adjusted() + 1 if end else 1 for end in ends), int(known.get("scale") or 0)

    def is_calendar(self, column: Column) -> bool:
        """Of a time or date: whether all of them lie in the years 1 to 9999, which is all that most programs know."""
        ends = [self.columns[column.name][end] for end in ("min", "max")]
        return all(end is None or (end[4:5] == "-" and end[:4].isdigit() and not end.endswith("BC")) for end in ends)


def totals(connection: psycopg.Connection, table: Table, source: sql.Composable) -> Totals:
    """The totals of `source`, a FROM clause with its conditions. One row, whatever the table holds."""
    asked = [("", "rows", sql.SQL("count(*)"))]
    for column in table.columns:
        for name, expression in {"values": "count({0})", **_ASKED[column.kind]}.items():
            asked.append((column.name, name, sql.SQL(expression).format(sql.Identifier(column.name))))
    query = sql.SQL("select {} {}").format(
        sql.SQL(", ").join(sql.SQL("({})::text").format(expression) for *_, expression in asked), source
    )
    row = connection.execute(query).fetchone()
    columns: dict[str, dict[str, str | None]] = {column.name: {} for column in table.columns}
    for (column, name, _), value in zip(asked[1:], row[1:], strict=True):
        columns[column][name] = value
    return Totals(int(row[0]), columns)
