"""A table with every kind of value that makes round trips hard, and readers that know nothing of the writers."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from orchestration.exports.export import Exported, export
from orchestration.settings import Export

# What goes for a formula somewhere, or breaks out of a cell, a line or an element.
HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1+1", "＠x", "'=1", "'", "''",
    '=HYPERLINK("http://evil.example","x")', "=cmd|' /C calc'!A0", "{=1}", '"', '";=1', "a,b", "a;b", "a\nb", "a\r\nb",
    "\\.", "\\N", "NULL", "null", "NaN", "<script>alert(1)</script>", "]]>&amp;", "_x0041_",
    "Ω≈ç√", "👩‍👩‍👧", "e\u0301",
    "\u202eabc", " a ", "true", "1e5", "007", "",
]  # fmt: skip
DDL = """
create table marts.probe (
    n bigint primary key, label text, price numeric, ratio double precision, small real, is_on boolean, at timestamptz,
    local_at timestamp, day date, clock time, tags text[], detail jsonb, huge numeric, span interval, id uuid
);
create view api.probe as select * from marts.probe;
"""
FULL = (
    Decimal("1234567.89"), 0.1, 1.5, True, datetime(2026, 3, 29, 1, 30, 0, 123456, UTC), datetime(2026, 3, 1, 2, 30),
    date(2026, 2, 28), time(23, 59, 59, 999999), ["a", None, "b,c"], {"a": [1, None]}, Decimal("1" * 40 + ".25"),
)  # fmt: skip


@pytest.fixture
def probe(warehouse) -> psycopg.Connection:
    """A connection to a warehouse in which api.probe holds hostile texts, nulls and values at the edge."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(DDL)
        for number, text in enumerate(HOSTILE, 1):
            detail = psycopg.types.json.Jsonb(FULL[9])
            values = [*FULL[:9], detail, FULL[10], "P1DT2H", "0b2d5e1e-8f58-4b0a-9c41-6f0a51b0c0de"]
            connection.execute(f"insert into marts.probe values (%s, %s{', %s' * 13})", [number, text, *values])
        connection.execute("insert into marts.probe (n) values (1000), (-9007199254740993)")
        connection.execute(
            """insert into marts.probe (n, label, price, ratio, small, at, day) values
               (2000, 'floats', -0.0000001, 'NaN', 'NaN', '0001-01-01 00:00+00', '0001-01-01'),
               (2001, 'more', 0.10, 'Infinity', '-Infinity', '9999-12-31 23:59:59.999999+00', '9999-12-31'),
               (2002, 'digits', 99999999999999999999.0000000001, 0.30000000000000004, 1e-45, now(), now())"""
        )
        yield connection


@pytest.fixture
def take(home) -> Callable[..., Exported]:
    """Exports a table: `take("probe", "csv", where=[…], since=…)`."""

    def take(table: str, form: str = "parquet", since: int | None = None, **options) -> Exported:
        return export(table, Export(table=table, format=form, **options), "a test", since=since)

    return take


def read_csv(path: Path) -> list[dict[str, str]]:
    """The records of a CSV as texts, freed of the mark in front. Null and an empty text are one to this reader."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value.removeprefix("'") for name, value in row.items()} for row in csv.DictReader(file)]


def read_jsonl(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line, parse_float=Decimal) for line in file]
