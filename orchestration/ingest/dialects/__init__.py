"""The languages in which events are told: one module each, a reader that brings bytes to the columns of the contract.

Positions count the records of a file from 1: the lines of a native file, the rows below a header, and in the other
dialects the events themselves, those of a batch counted through.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from orchestration.ingest.contract import Batch
from orchestration.ingest.dialects import (
    caliper,
    cloudevents,
    csv_rows,
    json_rows,
    line_rows,
    native,
    openedx,
    parquet_rows,
    segment,
    xapi,
)
from orchestration.settings import Source

READERS: dict[str, Callable[[BinaryIO, Source], Iterator[Batch]]] = {
    "native": native.read,
    "segment": segment.read,
    "xapi": xapi.read,
    "caliper": caliper.read,
    "cloudevents": cloudevents.read,
    "openedx": openedx.read,
    "csv": csv_rows.read,
    "json": json_rows.read,
    "parquet": parquet_rows.read,
    "lines": line_rows.read,
}
