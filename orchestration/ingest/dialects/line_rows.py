"""Lines of text, such as a web server's log, through a regular expression and the mapping of their source."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from orchestration.ingest.contract import Batch, Reason
from orchestration.ingest.dialects import columns
from orchestration.ingest.dialects.csv_rows import not_text, text_lines
from orchestration.ingest.dialects.records import Payloads, Refused, in_batches, too_large
from orchestration.settings import Mapping, Source


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read lines in batches: the named groups of `line` are the columns. A record's position is its line, from 1."""
    expression = re.compile(source.line)
    columns.check_names(list(expression.groupindex), source.mapping)
    first = 1
    for lines in in_batches(text_lines(stream), len):
        yield _batch(lines, first, expression, source.encoding, source.mapping)
        first += len(lines)


def _batch(lines: list[bytes], first: int, expression: re.Pattern, encoding: str, mapping: Mapping) -> Batch:
    names = list(expression.groupindex)
    positions, rows, refusals = [], [], []
    for position, line in enumerate(lines, first):
        if line.isspace():
            continue
        try:
            rows.append(_row(line, expression, encoding))
            positions.append(position)
        except Refused as refused:
            refusals.append(refused.at(position))
    texts = list(zip(*rows, strict=True)) or [()] * len(names)
    return columns.batch(
        first, Payloads(len(lines), lines.__getitem__), columns.table(positions, texts), names, mapping, refusals
    )


def _row(line: bytes, expression: re.Pattern, encoding: str) -> list[str | None]:
    if refused := too_large(line) or not_text(line, encoding):
        raise refused
    match = expression.fullmatch(line.decode(encoding).rstrip("\r\n"))
    if match is None:
        raise Refused(Reason.UNMATCHED_LINE, "the line is not as the source's `line` describes it")
    return [match[name] for name in expression.groupindex]
