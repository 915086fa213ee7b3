"""Tables through mappings: JSON of any shape, Parquet, and lines of text."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from orchestration.errors import TidemarkError
from orchestration.ingest.contract import BrokenFile
from orchestration.settings import sources
from tests.ingest.dialects.reading import again, read

AT = "2026-03-01T10:00:00.250000Z"


def test_a_column_may_be_a_path_a_key_with_dots_or_the_first_of_several():
    mapping = {
        "event_type": {"column": "payload.action", "slug": True},
        "occurred_at": ["missing", "meta.at"],
        "event_id": "id",
        "user_id": ["user.name", "user.id"],
        "properties": {
            "price": "payload.price",
            "count": {"column": "payload.count", "type": "integer"},
            "label": {"column": "payload.price", "type": "string"},
            "inner": {"column": "text", "type": "json"},
            "kind": {"value": "7", "type": "integer"},
            "none": "payload.none",
        },
    }
    records = [
        b'{"id": 17, "payload": {"action": "PullRequest Opened", "price": 2.50, "count": "6.0", "none": null},'
        b' "meta": {"at": "2026-03-01"}, "user": {"id": 9}, "text": "[1, 2.0]", "kept": {"a": [1.10]}}',
        b'{"payload.action": "dotted", "payload": {"action": "other"}, "user.name": "ada", "missing": "now"}',
        b'{"payload": {"action": {}}}',
        b'{"payload": {"count": "six"}}',
        b'{"payload": {}, "text": "{"}',
    ]
    events, refusals, payloads = read("json", b"\n".join(records), mapping=mapping)
    first, second = events
    assert [first[name] for name in ("event_id", "event_type", "occurred_at", "user_id")] == [
        "17", "pull_request_opened", "2026-03-01", "9",
    ]  # fmt: skip
    properties = first["properties"]
    assert (properties["price"], properties["count"], properties["label"]) == ("2.50", 6, "2.50")
    assert (properties["inner"], properties["kind"], properties["kept"]) == ([1, "2.0"], 7, {"a": ["1.10"]})
    assert "none" not in properties and "text" not in properties and properties["user"] == {"id": 9}
    assert [second[name] for name in ("event_type", "occurred_at", "user_id")] == ["dotted", "now", "ada"]
    assert [(position, reason, detail.partition(":")[0]) for position, reason, detail in refusals] == [
        (3, "wrong_type", "payload.action"), (4, "wrong_type", "payload.count"), (5, "wrong_type", "text"),
    ]  # fmt: skip
    assert again("json", payloads, mapping=mapping) == events


@pytest.mark.parametrize(
    ("form", "told", "at"),
    [
        ("epoch_seconds", "1772359200.25", AT),
        ("epoch_milliseconds", "1772359200250", AT),
        ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2026:11:00:00 +0100", "2026-03-01T10:00:00.000000Z"),
        ("%d.%m.%Y %H:%M:%S.%f", "01.03.2026 10:00:00.25", "2026-03-01T10:00:00.250000"),
        ("%m/%d/%Y %I:%M %p", "03/01/2026 10:05 PM", "2026-03-01T22:05:00.000000"),
        ("epoch_seconds", "yesterday", "yesterday"),  # and the contract says that it is no time
        ("%d.%m.%Y", "2026-03-01", "2026-03-01"),
    ],
)
def test_times_may_be_written_in_other_ways(form, told, at):
    mapping = {"event_type": {"value": "t"}, "occurred_at": {"column": "at", "format": form}}
    (of_json,), _, _ = read("json", [{"at": told}], mapping=mapping)
    (of_csv,), _, _ = read("csv", f"at\n{told}\n".encode(), mapping=mapping)
    assert of_json["occurred_at"] == of_csv["occurred_at"] == at


def test_a_parquet_table_keeps_what_its_types_say():
    table = pl.DataFrame(
        {
            "at": pl.Series([datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)] * 3),
            "who": [17, None, 3],
            "price": pl.Series([Decimal("2.50"), None, Decimal("0.001")], dtype=pl.Decimal(38, 4)),
            "ratio": [0.1, float("nan"), float("inf")],
            "is_new": [True, False, None],
            "name": ['é "x"\n', "", None],
            "nested": [{"a": [1, 2]}, None, {"a": []}],
        }
    )
    file = io.BytesIO()
    table.write_parquet(file)
    mapping = {"event_type": {"value": "t"}, "occurred_at": "at", "user_id": "who", "properties": {"cost": "price"}}
    events, refusals, payloads = read("parquet", file.getvalue(), mapping=mapping)
    assert [(event["occurred_at"], event["user_id"]) for event in events] == [(AT, "17"), (AT, None)]
    assert events[0]["properties"] == {
        "cost": "2.5000", "ratio": "0.1", "is_new": True, "name": 'é "x"\n', "nested": {"a": [1, 2]},
    }  # fmt: skip
    assert events[1]["properties"] == {"is_new": False}
    assert refusals == [(3, "number_out_of_range", "ratio: is infinite")]
    assert again("parquet", payloads, mapping=mapping) == events
    assert read("parquet", payloads[3], mapping=mapping)[1][0][1] == "number_out_of_range"
    for broken in (file.getvalue()[:-9], b"PAR1", b"", b"x" * 99):
        with pytest.raises(BrokenFile, match="Parquet"):
            read("parquet", broken, mapping=mapping)
    with pytest.raises(BrokenFile, match="has no column 'nobody'"):
        read("parquet", file.getvalue(), mapping=mapping | {"user_id": "nobody"})


def test_lines_are_read_by_their_named_groups():
    settings = {
        "line": r"(?P<at>\S+) (?:-|(?P<user>\S+)) (?P<status>\d+)(?P<rest>.*)",
        "mapping": {
            "event_type": {"value": "request_served"},
            "occurred_at": "at",
            "user_id": "user",
            "properties": {"status": {"column": "status", "type": "integer"}},
        },
    }
    content = f'{AT} ada 200\r\n\n{AT} - 404 caf\xe9 \\ "\nnothing\n'.encode() + b"\xff - 1"
    events, refusals, payloads = read("lines", content, **settings)
    assert [(event["position"], event["user_id"], event["properties"]) for event in events] == [
        (1, "ada", {"status": 200}),
        (3, None, {"status": 404, "rest": ' café \\ "'}),
    ]
    assert [(position, reason) for position, reason, _ in refusals] == [(4, "unmatched_line"), (5, "invalid_utf8")]
    assert again("lines", payloads, **settings) == events


MISTAKES = {
    "format: json": "a source of format csv, json, parquet or lines needs a mapping",
    "format: segment\n    mapping: {event_type: a, occurred_at: b}": "no other format takes one",
    "format: lines\n    mapping: {event_type: a, occurred_at: b}": "a source of format lines needs a line",
    "format: lines\n    line: '('\n    mapping: {event_type: a, occurred_at: b}": "is not a regular expression",
    "format: lines\n    line: 'x'\n    mapping: {event_type: a, occurred_at: b}": "names no group",
    "format: csv\n    encoding: klingon\n    mapping: {event_type: a, occurred_at: b}": "not an encoding",
    "format: csv\n    encoding: utf-16\n    mapping: {event_type: a, occurred_at: b}": "byte-order mark",
    "format: json\n    delimiter: ';'\n    mapping: {event_type: a, occurred_at: b}": "only a source of format csv",
    "format: json\n    mapping: {event_type: a, occurred_at: {column: b, format: iso}}": "is no way to write a time",
    "format: json\n    mapping: {event_type: {column: a, format: '%Y'}, occurred_at: b}": "only occurred_at and",
    "format: json\n    mapping: {event_type: {column: a, value: b}, occurred_at: b}": "either a column or a value",
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items())
def test_a_mistake_in_a_source_is_told_with_its_line(text, said, tmp_path, home, monkeypatch):
    (tmp_path / "sources.yml").write_text(f"sources:\n  mine:\n    {text}\n")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    with pytest.raises(TidemarkError, match=rf"sources\.yml:[2-6] .*{said}"):
        sources()
