"""Rows of Parquet files, through the mapping of their source. Decimals, dates and nested values keep what they say."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from orchestration.ingest.contract import Batch, BrokenFile, Reason, Refusal
from orchestration.ingest.dialects import columns
from orchestration.ingest.dialects.records import BATCH_RECORDS, BLOCK_BYTES, Payloads
from orchestration.settings import Mapping, Source

if TYPE_CHECKING:
    import polars as pl
    from pyarrow import Table
    from pyarrow.parquet import FileMetaData

_BATCH_BYTES = 32 * 1024 * 1024


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read the rows of a Parquet file in batches. A record's position is the number of its row, from 1.

    Raises BrokenFile when the file is not whole, or lacks a column that the mapping names.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with _seekable(stream) as file:
        try:
            rows = parquet.ParquetFile(file, buffer_size=BLOCK_BYTES)
            columns.check_names(rows.schema_arrow.names, source.mapping)
            first = 1
            for batch in rows.iter_batches(_batch_rows(rows.metadata), use_threads=False):
                yield _batch(pa.Table.from_batches([batch]), first, source.mapping)
                first += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            problem = " ".join(str(error).split())[:200]
            raise BrokenFile(f"is not a Parquet file that is whole ({problem}): copy it again.") from error


def _batch_rows(metadata: "FileMetaData") -> int:
    """So many rows at a time that wide ones fill no more memory than narrow ones."""
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    return max(1, min(BATCH_RECORDS, _BATCH_BYTES * metadata.num_rows // max(unpacked, 1)))


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream itself when it is a file, otherwise a copy on disk: Parquet is read from its end."""
    if isinstance(getattr(stream, "raw", None), io.FileIO):
        yield stream
        return
    with TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy


def _batch(rows: "Table", first: int, mapping: Mapping) -> Batch:
    import polars as pl

    frame = pl.from_arrow(rows)
    positions = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True).alias("position")
    texts = [_text(series) for series in frame.iter_columns()]
    refusals = {}
    for text, told in zip(texts, frame.iter_columns(), strict=True):
        for position in positions.filter(_is_unreadable(told, text)):
            reason = Reason.INVALID_UTF8 if told.dtype == pl.Binary else Reason.NUMBER_OUT_OF_RANGE
            problem = "is not valid UTF-8" if told.dtype == pl.Binary else "is infinite"
            refusals.setdefault(position, Refusal(position, reason, f"{told.name}: {problem}"))
    table = pl.DataFrame([positions, *(text.alias(columns.column(number)) for number, text in enumerate(texts))])
    if refusals:
        table = table.filter(~pl.col("position").is_in(list(refusals)))
    literal = {
        name for name, dtype in frame.schema.items() if dtype.is_numeric() or dtype.is_nested() or dtype == pl.Boolean
    }
    payloads = Payloads(frame.height, lambda index: _file_of(rows.slice(index, 1)))
    return columns.batch(first, payloads, table, frame.columns, mapping, list(refusals.values()), literal)


def _text(series: "pl.Series") -> "pl.Series":
    """The values as text: times as RFC 3339, numbers and nested values as JSON, null for what is not a number."""
    import polars as pl

    dtype = series.dtype
    if dtype.is_nested():
        encoded = pl.select(pl.struct(value=series).struct.json_encode()).to_series()
        return encoded.str.slice(len('{"value":')).str.head(-1).set(series.is_null(), None)
    if isinstance(dtype, pl.Datetime):
        digits, offset = (9 if dtype.time_unit == "ns" else 6), ("Z" if dtype.time_zone else "")
        moments = series.dt.convert_time_zone("UTC") if dtype.time_zone else series
        return moments.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.{digits}f{offset}")
    if isinstance(dtype, pl.Duration):
        return series.dt.to_string("iso")
    if dtype.is_float():
        series = series.fill_nan(None)  # in tables, a missing number
        return series.set(series.is_infinite(), None).cast(pl.String)
    if dtype == pl.Binary:
        return pl.Series(series.name, [_decoded(value) for value in series], dtype=pl.String)
    return series.cast(pl.String, strict=False)


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _is_unreadable(told: "pl.Series", text: "pl.Series") -> "pl.Series":
    import polars as pl

    is_lost = told.is_not_null() & text.is_null()
    if told.dtype.is_float():
        return is_lost & told.is_infinite()
    return is_lost if told.dtype == pl.Binary else is_lost & False


def _file_of(rows: "Table") -> bytes:
    """A Parquet file of these rows, which the reader reads by itself."""
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(rows, file)
    return file.getvalue()


def schema_of(payload: bytes) -> bytes:
    """The schema of a Parquet file; that of others is the same when they can be joined."""
    from pyarrow import parquet

    return parquet.ParquetFile(io.BytesIO(payload)).schema_arrow.serialize().to_pybytes()


def joined(payloads: list[bytes]) -> bytes:
    """The rows of Parquet files of one schema, in their order, as one file."""
    import pyarrow as pa
    from pyarrow import parquet

    return _file_of(pa.concat_tables(parquet.ParquetFile(io.BytesIO(payload)).read() for payload in payloads))
