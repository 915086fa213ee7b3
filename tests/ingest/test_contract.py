"""What makes a record an event: every reason of the closed list, and what is taken as it is."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.ingest.contract import EPOCH, VOCABULARY, Reason, _fits_a_double, utc_microseconds
from orchestration.ingest.loader import ingest
from orchestration.warehouse.sealing import opened
from tests.ingest.conftest import event

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text()

NESTED = '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": {"a": %s}}'
REFUSED = {
    b'{"event_type": "caf\xe9"}': Reason.INVALID_UTF8,
    b'{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": {"a": "\xff"}}': (
        Reason.INVALID_UTF8
    ),
    b"\x00": Reason.INVALID_JSON,
    b"\xef\xbb\xbf{}": Reason.INVALID_JSON,
    b'{"event_type": "lesson': Reason.INVALID_JSON,
    b"{} {}": Reason.INVALID_JSON,
    b'"' + b"x" * 100: Reason.INVALID_JSON,
    NESTED % "NaN": Reason.INVALID_JSON,
    NESTED % "-Infinity": Reason.INVALID_JSON,
    NESTED % "01": Reason.INVALID_JSON,
    "[1]": Reason.NOT_AN_OBJECT,
    "null": Reason.NOT_AN_OBJECT,
    NESTED % ("[" * 20_000 + "]" * 20_000): Reason.NESTED_TOO_DEEPLY,
    "[" * 20_000: Reason.NOT_AN_OBJECT,
    NESTED % ("[" * 150 + "]" * 150): Reason.NESTED_TOO_DEEPLY,
    "{}": Reason.MISSING_FIELD,
    '{"event_type": "", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u"}': Reason.MISSING_FIELD,
    '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": null}': Reason.MISSING_FIELD,
    '{"event_type": "a", "occurred_at": 1772359200, "user_id": "u"}': Reason.WRONG_TYPE,
    '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": true}': Reason.WRONG_TYPE,
    '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": [1]}': Reason.WRONG_TYPE,
    '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "x": 1, "properties": {"x": 2}}': (
        Reason.CONFLICTING_FIELD
    ),
    '{"event_type": "a", "occurred_at": "yesterday", "user_id": "u"}': Reason.INVALID_TIME,
    '{"event_type": "a", "occurred_at": "2026-02-30T10:00:00Z", "user_id": "u"}': Reason.INVALID_TIME,
    '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00", "user_id": "u"}': Reason.INVALID_TIME,
    '{"event_type": "a", "occurred_at": "1989-12-31T23:59:59Z", "user_id": "u"}': Reason.TIME_OUT_OF_RANGE,
    '{"event_type": "a", "occurred_at": "9999-12-31T23:59:59Z", "user_id": "u"}': Reason.TIME_OUT_OF_RANGE,
    NESTED % r'"a\u0000b"': Reason.INVALID_TEXT,
    NESTED % r'{"a\u0000b": 1}': Reason.INVALID_TEXT,
    NESTED % r'"\ud800"': Reason.INVALID_TEXT,
    r'{"event_type": "a\u0000", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u"}': Reason.INVALID_TEXT,
    NESTED % ("1" * 5000): Reason.NUMBER_OUT_OF_RANGE,
    NESTED % ("0." + "1" * 5000): Reason.NUMBER_OUT_OF_RANGE,
    NESTED % "1e400000": Reason.NUMBER_OUT_OF_RANGE,
    NESTED % "-2.5E-400": Reason.NUMBER_OUT_OF_RANGE,
    json.dumps(event(1, event_type="x" * 513)): Reason.VALUE_TOO_LARGE,
    json.dumps(event(1, properties={"a": "x" * (10 << 20)})): Reason.VALUE_TOO_LARGE,
}


def test_every_refused_record_has_its_reason_a_line_of_detail_its_position_and_its_bytes(write, query):
    (load,) = ingest("native", [write("bad.jsonl", list(REFUSED))])
    assert (load.received, load.loaded, load.quarantined) == (len(REFUSED), 0, len(REFUSED))
    found = query("select position, reason, detail, payload from raw.quarantine order by position")
    for (line, reason), (_, said, detail, payload) in zip(REFUSED.items(), found, strict=True):
        expected = line if isinstance(line, bytes) else line.encode()
        assert opened(payload) == expected
        assert said == reason, (expected[:80], detail)
        assert detail and "\n" not in detail and len(detail) < 300


def test_what_is_unusual_and_valid_is_kept_to_the_letter(write, query):
    lines = [
        '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": {"price": 2.50}}',
        NESTED % r'"\\u0000 \ud83d\ude00 \"tab\t\""',
        NESTED % "1e300",
        NESTED % ("1" * 300),
        NESTED % "12345678901234567890.123456789",
        NESTED % '"x1e999y"',
        '{"event_type": "a", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u", "properties": null, "x": [1.10]}',
        '{"event_type": "a\\tb\\n\\u0001\\\\.", "occurred_at": "2026-03-01t10:00:00.5+05:30", "user_id": "ü"}\r',
        "",
        "   ",
    ]
    (load,) = ingest("native", [write("odd.jsonl", lines)])
    assert (load.received, load.loaded) == (8, 8)
    stored = dict(query("select split_part(event_id, ':', 2)::int, properties::text from raw.events"))
    assert stored[1] == '{"price": 2.50}'
    assert json.loads(stored[2])["a"] == '\\u0000 😀 "tab\t"'
    assert Decimal(json.loads(stored[3], parse_int=str)["a"]) == Decimal("1e300")
    assert stored[4] == '{"a": %s}' % ("1" * 300)
    assert stored[5] == '{"a": 12345678901234567890.123456789}'
    assert stored[7] == '{"x": [1.10]}'
    assert query("select event_type, user_id, occurred_at from raw.events where event_id like '%%:8'") == [
        ("a\tb\n\x01\\.", "ü", datetime(2026, 3, 1, 4, 30, 0, 500_000, UTC))
    ]


def test_a_strict_source_takes_the_vocabulary_only(write, query, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text("sources: {app: {contract: strict, user_id: optional}}")
    (load,) = ingest("app", [write("a.jsonl", [event(1, user_id=None), event(2, event_type="lesson_eaten")])])
    assert (load.loaded, load.quarantined) == (1, 1)
    assert query("select reason from raw.quarantine") == [(Reason.UNKNOWN_EVENT_TYPE,)]


def test_the_vocabulary_is_that_of_the_documentation():
    assert (
        set(
            re.findall(
                r"^\| `([a-z_]+)` \| (?!yes|no|unless)", DOCS.split("## Engagement")[1].split("## Sources")[0], re.M
            )
        )
        == VOCABULARY
    )


def test_the_documentation_has_an_example_of_every_reason():
    assert set(re.findall(r"^\| `([a-z0-9_]+)` \|", DOCS.split("## Quarantine")[1], re.M)) == set(Reason)


def moments(*texts: str, zone: str | None = None) -> list[str | None]:
    import polars as pl

    found = utc_microseconds(pl.Series(texts, dtype=pl.String), zone)
    return [None if us is None else f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M:%S}" for us in found]


def test_local_times_struck_twice_are_the_earlier_and_skipped_ones_move_forward():
    # Berlin: 25 October 2026 has 02:30 twice, 29 March 2026 has no 02:30.
    assert moments(
        "2026-10-25 02:30:00",
        "2026-03-29T02:30:00",
        "2026-07-01 12:00:00",
        "2026-07-01T12:00:00Z",
        zone="Europe/Berlin",
    ) == ["2026-10-25 00:30:00", "2026-03-29 01:30:00", "2026-07-01 10:00:00", "2026-07-01 12:00:00"]


def test_a_time_without_offset_needs_a_declared_zone():
    assert moments("2026-07-01 12:00:00", "2026-07-01 12:00:00+02:00") == [None, "2026-07-01 10:00:00"]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()))
def test_a_time_with_an_offset_is_read_to_the_microsecond(moment):
    import polars as pl

    text = moment.isoformat()
    if moment.utcoffset().total_seconds() % 60 == 0:
        (found,) = utc_microseconds(pl.Series([text]), None)
        assert found == (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("number", "fits"), [("0e999999", True), ("1e307", True), ("1.7e308", False), ("1e309", False), ("1e-309", False)]
)
def test_numbers_that_a_double_holds(number, fits):
    assert _fits_a_double(Decimal(number)) is fits


def test_a_whole_number_as_identifier_is_the_same_as_its_digits(write, query):
    lines = [event(1, event_id=17, user_id=5, session_id=9), event(1, event_id="17", user_id="5", session_id="9")]
    (load,) = ingest("native", [write("numbers.jsonl", lines)])
    assert (load.loaded, load.duplicate) == (1, 1)
    assert query("select event_id, user_id, session_id from raw.events") == [("17", "5", "9")]
