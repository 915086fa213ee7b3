"""Keeps out who was erased: their records are counted as suppressed, and neither loaded nor quarantined."""

from typing import TYPE_CHECKING

import msgspec

from orchestration.ingest.contract import Batch, Refusal
from orchestration.warehouse.names import HashedNames, found_in

if TYPE_CHECKING:
    import polars as pl


def without_suppressed(frame: "pl.DataFrame", names: HashedNames) -> "pl.DataFrame":
    """The records of a batch that are not of somebody who was erased, by `user_id`."""
    import polars as pl

    if not names or frame.is_empty():
        return frame
    gone = [user for user in frame["user_id"].drop_nulls().unique() if names.is_one(user)]
    return frame.filter(pl.col("user_id").is_null() | ~pl.col("user_id").is_in(gone)) if gone else frame


def without_suppressed_bytes(batch: Batch, refusals: list[Refusal], names: HashedNames) -> list[Refusal]:
    """The refusals of records that name nobody who was erased, anywhere in their bytes."""
    if not names:
        return refusals
    return [refusal for refusal in refusals if not _names_somebody(batch.payload(refusal.position), names)]


def _names_somebody(payload: bytes, names: HashedNames) -> bool:
    if any(names.spans(payload.decode("utf-8", "replace"))):
        return True
    try:
        return bool(found_in(names, msgspec.json.decode(payload)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
