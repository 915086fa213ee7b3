"""Rows of CSV files, through the mapping of their source."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from orchestration.ingest.contract import MAX_LINE_BYTES, Batch, BrokenFile, Reason, Refusal
from orchestration.ingest.dialects import columns
from orchestration.ingest.dialects.records import Payloads, Refused, in_batches, too_large
from orchestration.settings import Mapping, Source

DELIMITERS = ",;\t|"
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class _Records:
    """The lines of a CSV file as text, which remembers the bytes of the record that is being read.

    Bytes that are not of the encoding become surrogates, by which they are found again.
    """

    def __init__(self, stream: BinaryIO, encoding: str):
        self.stream, self.encoding = stream, encoding
        self.lines: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(text_lines(self.stream)):
            self.lines.append(line)
            if number == 0 and line.startswith(codecs.BOM_UTF8):
                self.encoding, line = "utf-8", line.removeprefix(codecs.BOM_UTF8)
            yield line.decode(self.encoding, "surrogateescape")

    def taken(self) -> bytes:
        lines, self.lines = self.lines, []
        return b"".join(lines)


def text_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream with their ends; those of UTF-16 as UTF-8. Raises BrokenFile for one without an end."""
    head = stream.read(2)
    if head in _UTF16:
        yield from _from_utf16(stream, _UTF16[head])
        return
    *whole, started = head.split(b"\n")
    for line in chain((line + b"\n" for line in whole), _lines(started, stream)):
        if len(line) > MAX_LINE_BYTES:
            raise BrokenFile(f"has a line longer than {MAX_LINE_BYTES >> 20} MiB: give a file of this source.")
        yield line


def _lines(started: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while line := started + stream.readline(MAX_LINE_BYTES + 1):
        yield line
        started = b""


def _from_utf16(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    text = io.TextIOWrapper(stream, encoding, newline="\n")
    mark = codecs.BOM_UTF8  # says so where a record of this file is read again by itself
    try:
        while line := text.readline(MAX_LINE_BYTES + 1):
            yield mark + line.encode("utf-8", "surrogatepass")
            mark = b""
    except UnicodeDecodeError as error:
        raise BrokenFile(f"is not whole UTF-16 ({error.reason}): copy it again; nothing of it was loaded.") from error
    finally:
        text.detach()


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read the rows of a CSV file in batches. A record's position is the number of its row below the header, from 1.

    Raises BrokenFile when the header lacks a column that the mapping names.
    """
    records = _Records(stream, source.encoding)
    texts = iter(records)
    names, delimiter, header = _header(texts, records, source)
    if names is None:
        return
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    position = 1
    for some in in_batches(_read(reader, records), lambda row: len(row[1])):
        yield _batch(some, position, names, header, records.encoding, source.mapping)
        position += len(some)


def _header(texts: Iterator[str], records: _Records, source: Source) -> tuple[list[str] | None, str, bytes]:
    """The names of the columns, what stands between them, and the header's bytes.

    Unless the source says what stands between columns, it is a comma, or whatever makes this header have all the
    columns that the mapping names.
    """
    delimiter = source.delimiter or DELIMITERS[0]
    names = _names(texts, delimiter)
    header = records.taken()
    if names is None:
        return None, delimiter, header
    if not source.delimiter and not _has_all(names, source.mapping):
        text = header.removeprefix(codecs.BOM_UTF8).decode(records.encoding, "surrogateescape")
        others = {other: _names(iter([text]), other) or [] for other in DELIMITERS[1:]}
        fitting = [other for other, found in others.items() if _has_all(found, source.mapping)]
        if len(fitting) == 1:
            delimiter, names = fitting[0], others[fitting[0]]
    columns.check_names(names, source.mapping)
    return names, delimiter, header


def _names(texts: Iterator[str], delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(texts, delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        raise BrokenFile(f"has a header that is not CSV ({error}): give a file of this source.") from error


def _has_all(names: list[str], mapping: Mapping) -> bool:
    return all(any(name in names for name in field.column) for field in columns.mapped_columns(mapping))


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


def _batch(rows: list, first: int, names: list[str], header: bytes, encoding: str, mapping: Mapping) -> Batch:
    positions, values, refusals = [], [], []
    for position, (row, record) in enumerate(rows, first):
        if refusal := _refusal(position, row, record, len(names), encoding):
            refusals.append(refusal)
        elif row:
            positions.append(position)
            values.append(row)
    columns_of_text = list(zip(*values, strict=True)) or [()] * len(names)
    payloads = Payloads(len(rows), lambda index: header + rows[index][1])
    return columns.batch(first, payloads, columns.table(positions, columns_of_text), names, mapping, refusals)


def _refusal(position: int, row: list[str] | str, record: bytes, width: int, encoding: str) -> Refusal | None:
    if isinstance(row, str):
        reason = Reason.VALUE_TOO_LARGE if "field limit" in row else Reason.INVALID_CSV
        return Refusal(position, reason, row)
    if refused := not_text(record, encoding) or too_large(record):
        return refused.at(position)
    if row and len(row) != width:
        return Refusal(position, Reason.WRONG_COLUMN_COUNT, f"the record has {len(row)} columns, the header {width}")
    return None


def not_text(record: bytes, encoding: str) -> Refused | None:
    if record.isascii():
        return None
    try:
        record.decode(encoding)
    except UnicodeDecodeError as error:
        written = "UTF-8" if encoding == "utf-8" else encoding
        return Refused(Reason.INVALID_UTF8, f"byte {error.start + 1} of the record is not valid {written}")
    return None
