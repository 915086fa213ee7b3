"""What the languages of learning records have in common: scores, durations, and how activities are named."""

import re
from datetime import timedelta
from decimal import Decimal

import msgspec

from orchestration.ingest.dialects.translation import remembered, snake

_DURATION = msgspec.json.Decoder(timedelta)
_OPENEDX = re.compile(r"^https?://[^/]+/(?:xblock|course)/(?=[a-z0-9-]+:)")


Number = Decimal | None


@remembered
def last_part(iri: str) -> str:
    """`http://adlnet.gov/expapi/verbs/completed` is called `completed`."""
    return snake(re.split(r"[/#:]", iri.rstrip("/#"))[-1])


def known_as(iri: str) -> str:
    """An activity's name: its IRI, and of an Open edX block the usage key, by which its own logs know it."""
    return _OPENEDX.sub("", iri)


def percent(value: Number, lowest: Number, highest: Number) -> int | Decimal | None:
    """A score as 0 to 100, exactly, or None. One that says no highest is of 100, as in SCORM."""
    if not is_number(value):
        return None
    if highest is None:
        return value if 0 <= value <= 100 else None
    low = lowest or Decimal(0)
    return _plain((value - low) / (highest - low) * 100) if is_number(highest) and highest > low else None


def scaled(value: Number) -> int | Decimal | None:
    """A score of -1 to 1 as one to 100, exactly, or None."""
    return _plain(value * 100) if is_number(value) else None


def is_number(value: Number) -> bool:
    """Whether it is there, and of a size in which people score."""
    return value is not None and value.is_finite() and (value == 0 or -20 < value.adjusted() < 15)


def _plain(value: Decimal) -> int | Decimal:
    return int(value) if value % 1 == 0 else value.normalize()


@remembered
def seconds(duration: str) -> int | Decimal | None:
    """An ISO 8601 duration in seconds, or None; also for one in months or years, which have no fixed length."""
    try:
        told = _DURATION.decode(msgspec.json.encode(duration))
    except msgspec.MsgspecError:
        return None
    return _plain(Decimal(told // timedelta(microseconds=1)).scaleb(-6))
