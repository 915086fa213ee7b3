"""Columns of text become events, through the mapping of their source. Values keep their exact decimals."""

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from orchestration.ingest.contract import SCHEMA, Batch, BrokenFile, Reason, Refusal
from orchestration.ingest.dialects.records import Payloads
from orchestration.ingest.dialects.translation import snake
from orchestration.settings import Column, Mapping

if TYPE_CHECKING:
    import polars as pl

FIELDS = SCHEMA[1:-1]
TIMES = ("occurred_at", "received_at")
WRITTEN_AS = {
    "integer": r"^-?(0|[1-9][0-9]*)(\.0*)?$",
    "number": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$",
    "boolean": r"^(?i:true|false)$",
}
_IN_JSON = {'"': '\\"', "\\": "\\\\", "\x7f": "\\u007f"} | {chr(code): f"\\u{code:04x}" for code in range(32)}
_decode_value = msgspec.json.Decoder(msgspec.Raw).decode


def mapped_columns(mapping: Mapping) -> list[Column]:
    fields = [getattr(mapping, name) for name in FIELDS] + list(mapping.properties.values())
    return [field for field in fields if field and field.column]


def check_names(names: Sequence[str], mapping: Mapping) -> None:
    """Raises BrokenFile when a column is missing that the mapping names, or when two have one name."""
    for field in mapped_columns(mapping):
        missing = [column for column in field.column if column not in names]
        if len(missing) == len(field.column):
            raise BrokenFile(
                f"has no column {missing[0]!r}, which the mapping names, but {', '.join(names)}: "
                "correct config/sources.yml, or give a file of this source."
            )
    if len(set(names)) < len(names):
        raise BrokenFile(f"names a column twice in its header ({', '.join(names)}): rename one.")


def batch(
    first: int,
    payloads: Payloads,
    table: "pl.DataFrame",
    names: Sequence[str],
    mapping: Mapping,
    refusals: Sequence[Refusal] = (),
    literal: Collection[str] = (),
) -> Batch:
    """A batch of the rows that `table` holds: `position`, and the column of each name as `column(number)`, as text.

    The texts of the columns in `literal` are JSON already, and are what a property is unless the mapping gives a type.
    """
    frame, wrong = _mapped(table, {name: column(number) for number, name in enumerate(names)}, mapping, literal)
    return Batch(first, payloads, frame, [*refusals, *wrong])


def table(positions: list[int], texts: Sequence[Sequence[str | None]]) -> "pl.DataFrame":
    """The frame of these rows, from their columns."""
    import polars as pl

    columns = [pl.Series(column(number), values, dtype=pl.String) for number, values in enumerate(texts)]
    return pl.DataFrame([pl.Series("position", positions, dtype=pl.Int64), *columns])


def column(number: int) -> str:
    """The name of a file's column in our frames, where it cannot clash with ours."""
    return f"column {number}"


def _mapped(
    table: "pl.DataFrame", columns: dict[str, str], mapping: Mapping, literal: Collection[str]
) -> tuple["pl.DataFrame", list[Refusal]]:
    """The columns of the contract, and refusals of the rows in which a value is not of its declared type."""
    import polars as pl

    fields = {name: getattr(mapping, name) for name in FIELDS}
    named = {name for field in mapped_columns(mapping) for name in field.column}
    properties = mapping.properties | {name: Column(column=[name]) for name in columns if name not in named}
    table, refusals = _typed(table, [field for field in [*fields.values(), *properties.values()] if field], columns)
    members = [_member(name, field, columns, literal) for name, field in properties.items()]
    texts = {name: _value(field, columns) if field else pl.lit(None, pl.String) for name, field in fields.items()}
    joined = pl.concat_str(members, separator=",", ignore_nulls=True) if members else pl.lit("")
    frame = table.select(
        "position",
        *(expression.alias(name) for name, expression in texts.items()),
        pl.concat_str(pl.lit("{"), joined, pl.lit("}")).alias("properties"),
    )
    return with_times(frame, mapping), refusals


def with_times(frame: "pl.DataFrame", mapping: Mapping) -> "pl.DataFrame":
    """The frame with the times that have a format of their own written as RFC 3339; what is no such time stays."""
    formats = {name: field.format for name in TIMES if (field := getattr(mapping, name)) and field.format}
    return frame.with_columns(_rfc3339(frame[name], form) for name, form in formats.items())


def _rfc3339(texts: "pl.Series", form: str) -> "pl.Series":
    import polars as pl

    if form.startswith("epoch_"):
        factor = 1_000_000 if form == "epoch_seconds" else 1_000
        numbers = texts.cast(pl.Float64, strict=False) * factor
        times = pl.from_epoch(numbers.round().cast(pl.Int64, strict=False), time_unit="us")
    else:
        zone = "UTC" if "z" in form.lower() else None
        times = texts.str.to_datetime(form.replace(".%f", "%.f"), time_unit="us", time_zone=zone, strict=False)
    offset = "" if times.dtype.time_zone is None and "%" in form else "Z"
    return times.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{offset}").fill_null(texts).alias(texts.name)


def _typed(
    table: "pl.DataFrame", fields: Sequence[Column], columns: dict[str, str]
) -> tuple["pl.DataFrame", list[Refusal]]:
    """Without the rows in which a value is not of its declared type, and refusals of those."""
    import polars as pl

    typed = [field for field in fields if field.column and field.type not in (None, "string")]
    wrong = pl.lit(None, pl.Int32)
    for number, field in reversed(list(enumerate(typed))):
        text = _text(field, columns)
        if field.type == "json":
            is_right = table.select(text).to_series().map_elements(_is_json, return_dtype=pl.Boolean)
            is_wrong = ~pl.lit(is_right)
        else:
            is_wrong = ~text.str.contains(WRITTEN_AS[field.type])
        wrong = pl.when(is_wrong).then(number).otherwise(wrong)
    table = table.with_columns(wrong.alias("wrong"))
    refusals = []
    for position, number in table.filter(pl.col("wrong").is_not_null()).select("position", "wrong").iter_rows():
        named, kind = " or ".join(typed[number].column), typed[number].type
        written = "JSON" if kind == "json" else f"a JSON {kind}"
        refusals.append(Refusal(position, Reason.WRONG_TYPE, f"{named}: is not written as {written}"))
    return table.filter(pl.col("wrong").is_null()) if refusals else table, refusals


def _is_json(text: str) -> bool:
    try:
        _decode_value(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _text(field: Column, columns: dict[str, str]) -> "pl.Expr":
    """What stands in the file, null where nothing does."""
    import polars as pl

    if field.column is None:
        return pl.lit(field.value)
    return pl.coalesce(pl.col(columns[name]).replace("", None) for name in field.column if name in columns)


def _value(field: Column, columns: dict[str, str]) -> "pl.Expr":
    return _converted(_text(field, columns), field)


def _converted(text: "pl.Expr", field: Column) -> "pl.Expr":
    """A text as its mapping wants it."""
    import polars as pl

    if field.slug:
        text = text.map_elements(snake, return_dtype=pl.String)
    if field.type == "integer":
        text = text.str.replace(r"\.0*$", "")  # 17850.0: an integer that passed through a float
    return text.str.to_lowercase() if field.type == "boolean" else text


def _member(name: str, field: Column, columns: dict[str, str], literal: Collection[str]) -> "pl.Expr":
    """`"name":value` of a JSON object, null where there is no value."""
    import polars as pl

    if field.column is None or field.type:
        value = _value(field, columns)
        value = value if field.type not in (None, "string") else _quoted(value)
    else:
        parts = [
            (name, _converted(_text(Column(column=[name]), columns), field)) for name in field.column if name in columns
        ]
        value = pl.coalesce(text if name in literal else _quoted(text) for name, text in parts)
    return pl.concat_str(pl.lit(f"{json.dumps(name)}:"), value)


def _quoted(text: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return pl.concat_str(pl.lit('"'), text.str.replace_many(list(_IN_JSON), list(_IN_JSON.values())), pl.lit('"'))
