"""Rows of CSV files, through the mapping of their source. Values keep their exact decimals: nothing becomes a float."""

import csv
import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from orchestration.ingest.contract import MAX_LINE_BYTES, MAX_RECORD_BYTES, SCHEMA, Batch, BrokenFile, Reason, Refusal
from orchestration.settings import Column, Mapping, Source

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 20_000
_FIELDS = SCHEMA[1:-1]
_WRITTEN_AS = {
    "integer": r"^-?(0|[1-9][0-9]*)(\.0*)?$",
    "number": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$",
    "boolean": r"^(?i:true|false)$",
}
_IN_JSON = {'"': '\\"', "\\": "\\\\", "\x7f": "\\u007f"} | {chr(code): f"\\u{code:04x}" for code in range(32)}


class _Records:
    """The lines of a CSV file as text, which remembers the bytes of the record that is being read.

    Bytes that are not UTF-8 become surrogates, by which they are found again.
    """

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.lines: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        encoding = "utf-8-sig"
        while line := self.stream.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise BrokenFile(f"has a line longer than {MAX_LINE_BYTES >> 20} MiB: give a CSV file.")
            self.lines.append(line)
            yield line.decode(encoding, "surrogateescape")
            encoding = "utf-8"

    def taken(self) -> bytes:
        lines, self.lines = self.lines, []
        return b"".join(lines)


def rows(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read the rows of a CSV file in batches. A record's position is the number of its row below the header, from 1.

    Raises BrokenFile when the header lacks a column that the mapping names.
    """
    records = _Records(stream)
    reader = csv.reader(iter(records), strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise BrokenFile(f"has a header that is not CSV ({error}): give a file of this source.") from error
    if header is None:
        return
    _check_header(header, source.mapping)
    records.taken()
    numbered = enumerate(_read(reader, records), 1)
    while some := list(islice(numbered, BATCH_ROWS)):
        yield _batch(some, header, source.mapping)


def _check_header(header: list[str], mapping: Mapping) -> None:
    fields = [getattr(mapping, name) for name in _FIELDS] + list(mapping.properties.values())
    missing = [field.column for field in fields if field and field.column and field.column not in header]
    if missing:
        raise BrokenFile(
            f"has no column {missing[0]!r}, which the mapping names, but {', '.join(header)}: "
            "correct config/sources.yml, or give a file of this source."
        )
    if len(set(header)) < len(header):
        raise BrokenFile(f"names a column twice in its header ({', '.join(header)}): rename one.")


def _read(reader, records: _Records) -> Iterator[tuple[list[str] | str, bytes]]:
    """Each row with its bytes; for one that is not CSV, what is wrong with it."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = str(error)
        yield row, records.taken()


def _batch(numbered: list, header: list[str], mapping: Mapping) -> Batch:
    import polars as pl

    positions, values, refusals = [], [], []
    for position, (row, payload) in numbered:
        if refusal := _refusal(position, row, payload, len(header)):
            refusals.append(refusal)
        elif row:
            positions.append(position)
            values.append(row)
    columns = list(zip(*values, strict=True)) or [()] * len(header)
    table = pl.DataFrame(
        [pl.Series("position", positions, dtype=pl.Int64)]
        + [pl.Series(_column(number), column, dtype=pl.String) for number, column in enumerate(columns)]
    )
    frame, wrong = _mapped(table, {name: _column(number) for number, name in enumerate(header)}, mapping)
    return Batch(numbered[0][0], [payload for _, (_, payload) in numbered], frame, refusals + wrong)


def _column(number: int) -> str:
    """The name of a file's column in our frames, where it cannot clash with ours."""
    return f"column {number}"


def _refusal(position: int, row: list[str] | str, payload: bytes, width: int) -> Refusal | None:
    if isinstance(row, str):
        reason = Reason.VALUE_TOO_LARGE if "field limit" in row else Reason.INVALID_CSV
        return Refusal(position, reason, row)
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            return Refusal(position, Reason.INVALID_UTF8, f"byte {error.start + 1} of the record is not valid UTF-8")
    if row and len(row) != width:
        return Refusal(position, Reason.WRONG_COLUMN_COUNT, f"the record has {len(row)} columns, the header {width}")
    if len(payload) > MAX_RECORD_BYTES:
        detail = f"the record has {len(payload)} bytes, and more than {MAX_RECORD_BYTES} are not taken"
        return Refusal(position, Reason.VALUE_TOO_LARGE, detail)
    return None


def _mapped(table: "pl.DataFrame", columns: dict[str, str], mapping: Mapping) -> tuple["pl.DataFrame", list[Refusal]]:
    """The columns of the contract, and refusals of the rows in which a value is not of its declared type."""
    import polars as pl

    fields = {name: getattr(mapping, name) for name in _FIELDS}
    named = {field.column for field in [*fields.values(), *mapping.properties.values()] if field}
    properties = mapping.properties | {name: Column(column=name) for name in columns if name not in named}
    typed = [
        field for field in [*fields.values(), *properties.values()] if field and field.column and field.type != "string"
    ]
    wrong = pl.coalesce(
        pl.lit(None, pl.Int32),
        *(
            pl.when(~_text(field, columns).str.contains(_WRITTEN_AS[field.type])).then(number)
            for number, field in enumerate(typed)
        ),
    )
    table = table.with_columns(wrong.alias("wrong"))
    refusals = [
        Refusal(position, Reason.WRONG_TYPE, f"{typed[number].column}: is not written as a JSON {typed[number].type}")
        for position, number in table.filter(pl.col("wrong").is_not_null()).select("position", "wrong").iter_rows()
    ]
    members = [_member(name, field, columns) for name, field in properties.items()]
    frame = table.filter(pl.col("wrong").is_null()).select(
        "position",
        *((_value(field, columns) if field else pl.lit(None, pl.String)).alias(name) for name, field in fields.items()),
        pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=",", ignore_nulls=True), pl.lit("}")).alias(
            "properties"
        )
        if members
        else pl.lit("{}").alias("properties"),
    )
    return frame, refusals


def _text(field: Column, columns: dict[str, str]) -> "pl.Expr":
    """What stands in the file, null where nothing does."""
    import polars as pl

    if field.column is None:
        return pl.lit(field.value)
    return pl.col(columns[field.column]).replace("", None)


def _value(field: Column, columns: dict[str, str]) -> "pl.Expr":
    text = _text(field, columns)
    if field.slug:
        text = text.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", "_").str.strip_chars("_")
    if field.type == "integer":
        text = text.str.replace(r"\.0*$", "")  # 17850.0: an integer that passed through a float
    return text.str.to_lowercase() if field.type == "boolean" else text


def _member(name: str, field: Column, columns: dict[str, str]) -> "pl.Expr":
    """`"name":value` of a JSON object, null where there is no value."""
    import polars as pl

    value = _value(field, columns)
    if field.type == "string":
        value = pl.concat_str(pl.lit('"'), value.str.replace_many(list(_IN_JSON), list(_IN_JSON.values())), pl.lit('"'))
    return pl.concat_str(pl.lit(f"{json.dumps(name)}:"), value)
