"""What makes a record an event: required fields, times, sizes, and the closed list of reasons for refusing one.

Every dialect is brought to the same columns first; the rules here are applied to whole columns at once.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from orchestration.settings import Source

if TYPE_CHECKING:
    import polars as pl

    from orchestration.ingest.schemas import Judge

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(minutes=5)
MAX_NAME_BYTES = 512  # of an identifier: tables are keyed by them, and an index entry has its limit
MAX_RECORD_BYTES = 10 * 1024 * 1024
MAX_LINE_BYTES = 256 * 1024 * 1024  # what quarantine keeps whole; a file with a longer line is no file of records
MAX_NUMBER_CHARACTERS = 1000
MAX_NESTING = 100
TEXTS = ("event_id", "event_type", "user_id", "session_id")
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The event types of docs/events.md.
VOCABULARY = frozenset(
    [
        *("page_viewed", "content_viewed", "content_started", "content_completed", "content_rated", "content_searched"),
        *("lesson_started", "lesson_completed"),
        *("room_created", "room_joined", "room_started", "room_paused", "room_resumed", "vote_cast"),
        *("room_matched", "room_completed", "room_abandoned"),
        *("product_viewed", "product_added", "checkout_started", "order_completed", "order_refunded"),
        *("order_line_recorded", "price_changed", "competitor_price_observed", "stock_changed"),
        "exchange_rate_published",
        *("transaction_created", "transaction_settled", "transaction_failed", "seller_rated"),
        "experiment_viewed",
        "request_served",
        *("consent_given", "consent_withdrawn"),
    ]
)


class Reason(StrEnum):
    """Why a record is in quarantine. The list is closed; docs/events.md has an example of each."""

    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    INVALID_CSV = "invalid_csv"
    WRONG_COLUMN_COUNT = "wrong_column_count"
    UNMATCHED_LINE = "unmatched_line"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    CONFLICTING_FIELD = "conflicting_field"
    INVALID_TIME = "invalid_time"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_VALUE = "invalid_value"
    INVALID_TEXT = "invalid_text"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    VALUE_TOO_LARGE = "value_too_large"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    EXPIRED_DAY = "expired_day"
    REFUSED_BY_DATABASE = "refused_by_database"


class BrokenFile(Exception):
    """What is wrong with a whole file: the rest of a sentence that begins with its path."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is no event: its position in the file, why, and one line that names the field and its problem."""

    position: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive records of a file.

    `records` are their bytes, the first one's position being `first`; a blank one is neither an event nor a refusal.
    `frame` has the columns of `SCHEMA`, all text but the position; `properties` is the text of a JSON object.
    """

    first: int
    records: list[bytes]
    frame: "pl.DataFrame"
    refusals: list[Refusal]

    @property
    def received(self) -> int:
        return self.frame.height + len(self.refusals)

    def payload(self, position: int) -> bytes:
        return self.records[position - self.first]


SCHEMA = ("position", "event_id", "event_type", "occurred_at", "received_at", "user_id", "session_id", "properties")


def check(frame: "pl.DataFrame", source: Source, now: datetime, judge: "Judge") -> tuple["pl.DataFrame", list[Refusal]]:
    """Split the records of a batch into events and refusals; the first rule that a record breaks is its reason.

    The events have `occurred_at` and `received_at` as microseconds since 1970, null for every empty text, and nothing
    personal as it came.
    """
    import polars as pl

    frame = frame.with_columns(pl.col(name).replace("", None) for name in TEXTS)
    times = {name: utc_microseconds(frame[name], source.timezone) for name in ("occurred_at", "received_at")}
    frame = frame.with_columns(series.alias(f"{name}_us") for name, series in times.items())
    rules = _rules(source, now, judge.event_types)
    broken = pl.coalesce(pl.when(rule).then(number) for number, (rule, _, _) in enumerate(rules))
    frame = frame.with_columns(broken.alias("broken"))
    refusals = []
    for row in frame.filter(pl.col("broken").is_not_null()).iter_rows(named=True):
        _, reason, detail = rules[row["broken"]]
        refusals.append(Refusal(row["position"], reason, detail.format(**{k: _shown(v) for k, v in row.items()})))
    frame, unstorable = _storable(frame.filter(pl.col("broken").is_null()))
    events = frame.select(
        *("position", *TEXTS, "properties"),
        pl.col("occurred_at_us").alias("occurred_at"),
        pl.col("received_at_us").alias("received_at"),
    )
    events, unlike = judge.judged(events)
    return events, refusals + unstorable + unlike


def _rules(source: Source, now: datetime, event_types: Collection[str]) -> list[tuple["pl.Expr", Reason, str]]:
    """What no event may be, in the order in which it is said: (condition, reason, detail)."""
    import polars as pl

    required = ["event_type", "occurred_at"] + (["user_id"] if source.user_id == "required" else [])
    required += ["event_id"] if source.is_reread else []  # nothing else tells that a record came before
    rules = [(pl.col(n).is_null(), Reason.MISSING_FIELD, f"{n}: is missing or empty") for n in required]
    for name in TEXTS:
        zero = pl.col(name).str.contains("\0", literal=True)
        rules.append((zero, Reason.INVALID_TEXT, f"{name}: has a NUL character"))
        long = pl.col(name).str.len_bytes() > MAX_NAME_BYTES
        rules.append((long, Reason.VALUE_TOO_LARGE, f"{name}: is longer than {MAX_NAME_BYTES} bytes"))
    expected = "RFC 3339" if source.timezone else "RFC 3339 with an offset, and the source declares no timezone"
    for name in ("occurred_at", "received_at"):
        unread = pl.col(name).is_not_null() & pl.col(f"{name}_us").is_null()
        rules.append((unread, Reason.INVALID_TIME, f"{name}: {{{name}}} is not a time in {expected}"))
        too_early = pl.col(f"{name}_us") < _microseconds(EARLIEST)
        rules.append((too_early, Reason.TIME_OUT_OF_RANGE, f"{name}: {{{name}}} is before 1990"))
        too_late = pl.col(f"{name}_us") > _microseconds(now + AHEAD)
        rules.append((too_late, Reason.TIME_OUT_OF_RANGE, f"{name}: {{{name}}} is more than five minutes ahead of now"))
    if source.contract == "strict":
        unknown = ~pl.col("event_type").is_in(list(event_types))
        rules.append((unknown, Reason.UNKNOWN_EVENT_TYPE, "event_type: {event_type} is not in the contract"))
    not_object = ~pl.col("properties").str.starts_with("{")
    rules.append((not_object, Reason.WRONG_TYPE, "properties: is not an object"))
    return rules


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def conflict(event_id: str, time: int, first: int) -> str:
    """What a record is told that has another time than the event of its identity that stands; both microseconds."""
    said, stood = (f"{EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%fZ}" for us in (time, first))
    return f"occurred_at: {said}, but event_id {ascii(event_id)[:80]} stands at {stood}"


def utc_microseconds(texts: "pl.Series", zone: str | None) -> "pl.Series":
    """Times as microseconds since 1970, null where a text is no RFC 3339 time.

    A time without an offset is read in `zone`; without a zone it is null. Where clocks go back and a time is struck
    twice, it is the earlier one; where clocks go forward and it is never struck, it is as much later as they jumped.
    """
    import polars as pl

    with_offset = _parsed(texts, "%Y-%m-%dT%H:%M:%S%.f%#z", time_zone="UTC")
    if with_offset.null_count() == texts.null_count():
        return with_offset.dt.epoch("us")
    spaced = texts.str.to_uppercase().str.replace(" ", "T", literal=True)
    times = with_offset.fill_null(_parsed(spaced, "%Y-%m-%dT%H:%M:%S%.f%#z", time_zone="UTC")).alias("times")
    if zone is None:
        return times.dt.epoch("us")
    local = _parsed(spaced, "%Y-%m-%dT%H:%M:%S%.f").alias("local")
    in_zone = pl.col("local").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    frame = pl.DataFrame([times, local]).with_columns(in_zone.dt.convert_time_zone("UTC").alias("in_zone"))
    frame = frame.select(pl.coalesce("times", "in_zone").dt.epoch("us").alias("us"), "local")
    skipped = frame["us"].is_null() & frame["local"].is_between(datetime(1900, 1, 1), datetime(2900, 1, 1))
    if skipped.any():
        moved = [_microseconds(t.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)) for t in local.filter(skipped)]
        return frame["us"].scatter(skipped.arg_true(), moved)
    return frame["us"]


def _parsed(texts: "pl.Series", form: str, time_zone: str | None = None) -> "pl.Series":
    return texts.str.to_datetime(form, time_unit="us", time_zone=time_zone, strict=False)


# Finds all properties that the database or a double could refuse, and some that are fine: `_problem` decides.
_SUSPICIOUS = r"\\u0000|[:\[,]\s*-?[0-9][0-9.]*[eE][+-]?[0-9]{3}|[0-9.]{300}"


def _storable(frame: "pl.DataFrame") -> tuple["pl.DataFrame", list[Refusal]]:
    """Take out the records whose properties jsonb would refuse, or whose numbers no double holds."""
    import polars as pl

    text = pl.col("properties").str
    brackets = text.count_matches("[", literal=True) + text.count_matches("{", literal=True)
    suspicious = frame.filter(text.contains(_SUSPICIOUS) | (brackets > MAX_NESTING))
    refusals = [
        Refusal(position, *problem)
        for position, properties in suspicious.select("position", "properties").iter_rows()
        if (problem := _problem(properties))
    ]
    if not refusals:
        return frame, []
    return frame.filter(~pl.col("position").is_in([refusal.position for refusal in refusals])), refusals


def _problem(properties: str) -> tuple[Reason, str] | None:
    """Why a JSON text cannot be stored as it is, or None."""
    numbers: list[str] = []
    too_deep = Reason.NESTED_TOO_DEEPLY, f"properties: are nested more than {MAX_NESTING} levels deep"
    try:
        pending = [(json.loads(properties, parse_int=numbers.append, parse_float=numbers.append), 0)]
    except RecursionError:
        return too_deep
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str) and "\0" in value:
            return Reason.INVALID_TEXT, "properties: a text has a NUL character"
        if isinstance(value, dict | list):
            if depth >= MAX_NESTING:
                return too_deep
            inside = [*value, *value.values()] if isinstance(value, dict) else value
            pending += [(item, depth + 1) for item in inside]
    for number in numbers:
        if len(number) > MAX_NUMBER_CHARACTERS or not _fits_a_double(Decimal(number)):
            return Reason.NUMBER_OUT_OF_RANGE, f"properties: {_shown(number)} is not a number that a double holds"
    return None


def _fits_a_double(number: Decimal) -> bool:
    return number == 0 or -308 < number.adjusted() < 308
