"""Writing the rows of a selection to one file, a few megabytes at a time. Where the file goes is not known here.

CSV and JSON Lines are the database's own text, passed on. Parquet and XLSX get typed columns; a column that holds a
value which the format's type cannot say, such as NaN among decimals, is written as text, and the manifest says so.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from orchestration.errors import TidemarkError
from orchestration.exports.selection import Column, Table
from orchestration.exports.totals import Totals

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int], None]
Stamp = dict[str, str]  # what the file itself says of the export, where its format can
CHUNK = 1024 * 1024  # bytes
GROUP = 128 * 1024  # rows of a Parquet row group
SHEET_ROWS = 1_048_575  # below the head of a sheet
SHEET_DIGITS = 15
CELL = 32_767  # characters
# What a spreadsheet takes for a formula, also behind space and in wide letters, and the mark itself.
_FORMULA = r"^\s*[-=+@'\t\r＝＋－＠]"


def write(
    name: str,
    reader: psycopg.Connection,
    table: Table,
    source: sql.Composable,
    totals: Totals,
    stamp: Stamp,
    path: Path,
    progress: Progress,
) -> int:
    """Write the rows of `source`, a FROM clause with its conditions, in the format `name`; return their number."""
    writers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "xlsx": _xlsx}
    return writers[name](reader, table, source, totals, stamp, path, progress)


def written_as(name: str, column: Column, totals: Totals) -> str:
    """How a file says the values of a column."""
    if name == "parquet":
        return str(arrow_type(column, totals))
    if name == "xlsx":
        return "native" if is_native(column, totals) else "text"
    if name == "jsonl":
        return "json"
    return "text, with one more ' in front where it begins like a formula or with '" if _is_text(column) else "text"


# Text ---------------------------------------------------------------------------------------------------------------


def _csv(reader, table, source, totals, stamp, path, progress) -> int:
    """RFC 4180 in UTF-8: null is nothing, an empty text is two quotes."""
    columns = [_defused(column) for column in table.columns]
    query = sql.SQL("copy (select {} {}) to stdout (format csv, header)").format(sql.SQL(", ").join(columns), source)
    return _passed_on(reader, query, path, progress, b"\r\n") - 1


def _is_text(column: Column) -> bool:
    return column.kind in ("text", "json")


def _defused(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.kind == "boolean":
        return sql.SQL("{0}::text as {0}").format(name)
    if not _is_text(column):
        return name
    return sql.SQL("case when {0} ~ {1} then '''' || {0} else {0} end as {2}").format(_text(column), _FORMULA, name)


def _text(column: Column) -> sql.Composable:
    """A value that no format has a type for, as text; of a list or an object, as JSON."""
    pattern = "to_jsonb({})::text" if column.kind == "json" else "{}::text"
    return sql.SQL(pattern).format(sql.Identifier(column.name))


def _jsonl(reader, table, source, totals, stamp, path, progress) -> int:
    """An object a line. Numbers keep all their digits; those that JSON cannot say are texts such as "NaN"."""
    columns = [
        sql.SQL("to_jsonb({0}) as {0}" if column.type == "json" else "{0}").format(sql.Identifier(column.name))
        for column in table.columns
    ]
    # JSON has neither of these two characters in it, so nothing is quoted.
    query = sql.SQL(
        "copy (select row_to_json(one) from (select {} {}) as one) to stdout "
        r"(format csv, delimiter e'\x01', quote e'\x02')"
    ).format(sql.SQL(", ").join(columns), source)
    return _passed_on(reader, query, path, progress, b"\n")


def _passed_on(reader, query: sql.Composable, path: Path, progress: Progress, end: bytes) -> int:
    count = 0
    with path.open("wb") as file:
        for rows, number in _chunks(reader, query, end):
            file.write(rows)
            count += number
            progress(count)
    return count


def _chunks(reader: psycopg.Connection, query: sql.Composable, end: bytes = b"\n") -> Iterator[tuple[bytearray, int]]:
    """What COPY says, some rows at a time, and how many they are.

    libpq is asked for its rows directly: psycopg's own loop over them takes three times as long.
    """
    began = reader.pgconn.exec_(query.as_bytes(reader))
    if began.status != psycopg.pq.ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(began)
    chunk, count = bytearray(), 0
    while (row := reader.pgconn.get_copy_data(0))[0] > 0:
        chunk += row[1] if end == b"\n" else bytes(row[1][:-1]) + end
        count += 1
        if len(chunk) >= CHUNK:
            yield chunk, count
            chunk, count = bytearray(), 0
    ended = reader.pgconn.get_result()
    while reader.pgconn.get_result():
        pass
    if ended.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(ended)
    if count:
        yield chunk, count


# Typed columns ------------------------------------------------------------------------------------------------------


def arrow_type(column: Column, totals: Totals) -> "pa.DataType":
    """The type of a column in Parquet: text where a value of the column has no place in the type of its kind."""
    import pyarrow as pa

    fixed = {
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "real": pa.float32(),
        "double precision": pa.float64(),
        "boolean": pa.bool_(),
        "time without time zone": pa.time64("us"),
    }
    times = {"moment": pa.timestamp("us", "UTC"), "datetime": pa.timestamp("us"), "date": pa.date32()}
    if column.kind == "decimal" and (digits := totals.digits(column)):
        before, behind = digits
        if before + behind <= 38:
            return pa.decimal128(38, behind)
        if before + behind <= 76:
            return pa.decimal256(76, behind)
    if column.kind in times and totals.is_calendar(column):
        return times[column.kind]
    return fixed.get(column.type, pa.string())


def _parser(reader, table: Table, source: sql.Composable, totals: Totals, stamp: Stamp):
    """The query whose rows make typed columns, their schema, and what makes a table of a chunk of rows."""
    import pyarrow as pa
    from pyarrow import csv

    schema = pa.schema(
        [
            pa.field(column.name, arrow_type(column, totals), metadata={"postgresql_type": column.type})
            for column in table.columns
        ],
        metadata=stamp,
    )
    columns = [_text(column) if _is_text(column) else sql.Identifier(column.name) for column in table.columns]
    query = sql.SQL("copy (select {} {}) to stdout (format csv)").format(sql.SQL(", ").join(columns), source)
    parsing = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    converting = csv.ConvertOptions(
        # It reads no numbers of more than 38 digits: they are read as texts, and cast.
        column_types={one.name: pa.string() if pa.types.is_decimal256(one.type) else one.type for one in schema},
        strings_can_be_null=True,  # null is nothing,
        quoted_strings_can_be_null=False,  # an empty text is two quotes
        null_values=[""],
        true_values=["t"],
        false_values=["f"],
    )

    def parse(rows: bytearray) -> "pa.Table":
        reading = csv.ReadOptions(column_names=schema.names, block_size=len(rows) + 1)  # no row is cut in two
        part = csv.read_csv(pa.BufferReader(rows), reading, parsing, converting)
        return part.cast(schema).replace_schema_metadata(schema.metadata)

    return query, schema, parse


def _parquet(reader, table, source, totals, stamp, path, progress) -> int:
    """Rows are parsed and written in a thread, while the next ones are asked for."""
    import pyarrow as pa
    from pyarrow import parquet

    query, schema, parse = _parser(reader, table, source, totals, stamp)
    held: list[pa.Table] = []
    count = 0

    def write_group() -> None:
        writer.write_table(pa.concat_tables([schema.empty_table(), *held]))
        held.clear()

    def take(rows: bytearray) -> None:
        held.append(parse(rows))
        if sum(map(len, held)) >= GROUP:
            write_group()

    with parquet.ParquetWriter(path, schema) as writer, ThreadPoolExecutor(1) as worker:
        before = None
        for rows, number in _chunks(reader, query):
            if before:
                before.result()
            before = worker.submit(take, rows)
            count += number
            progress(count)
        if before:
            before.result()
        write_group()
    return count


# Spreadsheets -------------------------------------------------------------------------------------------------------


def _spelled(value) -> str:
    """A value as text, as PostgreSQL spells what is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class _Exact(float):
    """A number that is written with all its digits: the library would round it to sixteen."""

    def __format__(self, _specification: str) -> str:
        return repr(float(self))


def is_native(column: Column, totals: Totals) -> bool:
    """Whether a sheet holds all values of a column as what they are. It knows 15 digits, and no zones or parts of days
    before 1900; a number or time beyond that is text, so that nothing is rounded."""
    if column.kind in ("integer", "decimal"):
        digits = totals.digits(column)
        return digits is not None and sum(digits) <= SHEET_DIGITS
    if column.kind in ("moment", "datetime", "date"):
        known = totals.columns[column.name]
        is_whole = known.get("whole_seconds") in (None, "true")
        return totals.is_calendar(column) and is_whole and (known["min"] is None or known["min"] >= "1900-03-01")
    return column.kind in ("float", "boolean")


def _xlsx(reader, table, source, totals, stamp, path, progress) -> int:
    """A sheet for each million rows, their heads frozen. Moments are shown in UTC, and say so."""
    import xlsxwriter

    natives = [is_native(column, totals) for column in table.columns]
    count = 0
    with (
        TemporaryDirectory(prefix=".", dir=path.parent) as folder,
        xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": folder}) as book,
    ):
        book.set_properties({"title": str(table)})
        for name, value in stamp.items():
            book.set_custom_property(name, value)
        formats = [_sheet_format(book, column, totals) for column in table.columns]
        bold = book.add_format({"bold": True, "bottom": 1})
        sheet = _sheet(book, table, bold)
        query, _, parse = _parser(reader, table, source, totals, stamp)
        for rows, _ in _chunks(reader, query):
            part = parse(rows)
            columns = [part.column(place).to_pylist() for place in range(part.num_columns)]
            for row in zip(*columns, strict=True):
                place = count % SHEET_ROWS
                if count and not place:
                    sheet = _sheet(book, table, bold)
                for number, value in enumerate(row):
                    if value is not None:
                        _cell(sheet, place + 1, number, value, natives[number], formats[number], table)
                count += 1
            progress(count)
    return count


def _sheet(book, table: Table, bold):
    number = len(book.worksheets()) + 1
    sheet = book.add_worksheet(table.name[:28] if number == 1 else f"{table.name[:25]} {number}")
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(table.columns) - 1, 20)
    for place, column in enumerate(table.columns):
        sheet.write_string(0, place, column.name, bold)
    return sheet


def _sheet_format(book, column: Column, totals: Totals):
    formats = {
        "integer": "#,##0",
        "decimal": "#,##0." + "0" * int(totals.columns[column.name].get("scale") or 0),
        "moment": 'yyyy-mm-dd hh:mm:ss "UTC"',
        "datetime": "yyyy-mm-dd hh:mm:ss",
        "date": "yyyy-mm-dd",
    }
    known = formats.get(column.kind)
    return book.add_format({"num_format": known.rstrip(".")}) if known else None


def _cell(sheet, row: int, column: int, value, is_native: bool, style, table: Table) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif is_native and hasattr(value, "year"):
        sheet.write_datetime(row, column, value.replace(tzinfo=None) if hasattr(value, "hour") else value, style)
    elif is_native and math.isfinite(value):
        sheet.write_number(row, column, _Exact(value), style)
    else:
        text = _spelled(value)
        if len(text) > CELL:
            raise TidemarkError(
                f"{table}.{table.columns[column].name} has a text of {len(text):,} characters, and a cell holds "
                f"{CELL:,}: export it as csv, jsonl or parquet."
            )
        sheet.write_string(row, column, text)
