"""The same behaviour told as native events, in Segment, xAPI and CloudEvents, and in tables, is the same events."""

import csv
import io
import json
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from orchestration.ingest.contract import VOCABULARY
from orchestration.ingest.dialects import READERS
from orchestration.ingest.dialects.records import encode
from orchestration.settings import Source
from orchestration.simulate.simulator import simulate

EACH = 150  # events of each type
COLUMNS = ("event_id", "event_type", "occurred_at", "user_id", "session_id")
LINE = {
    "event_id": "line-1",
    "event_type": "order_line_recorded",
    "occurred_at": "2026-03-02T08:26:00.000Z",
    "user_id": "17850",
    "properties": {"order_id": "536365", "product_id": "85123A", "quantity": -6, "price": Decimal("2.55"),
                   "currency": "GBP", "country": "France", "name": 'LARGE "T-LIGHT", é'},
}  # fmt: skip
PAUSES = [
    {
        "event_id": kind,
        "event_type": kind,
        "occurred_at": "2026-03-02T08:27:00.000Z",
        "user_id": "u1",
        "session_id": "s1",
        "properties": {"room_id": "r1"},
    }
    for kind in ("room_paused", "room_resumed")
]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list[dict]:
    """Events of every type of the vocabulary, most of them simulated, numbers as they are written."""
    directory = tmp_path_factory.mktemp("told")
    simulate(
        directory, start=date(2026, 3, 1), days=21, events=12_000, seed=3, late_rate=0, duplicate_rate=0, broken_rate=0
    )
    kinds = defaultdict(list, {event["event_type"]: [event] for event in (LINE, *PAUSES)})
    for path in sorted(Path(directory).glob("*.jsonl")):
        for line in path.read_text().splitlines():
            event = json.loads(line, parse_float=Decimal)
            if event.get("user_id") and len(kinds[event["event_type"]]) < EACH:
                kinds[event["event_type"]].append(event)
    assert kinds.keys() == VOCABULARY - {"consent_given", "consent_withdrawn"}  # nobody of the simulation is asked
    return [event for events in kinds.values() for event in events]


def lines(records: list[dict]) -> bytes:
    return b"\n".join(map(encode, records))


def as_native(events: list[dict]) -> tuple[bytes, dict]:
    return lines(events), {}


def as_segment(events: list[dict]) -> tuple[bytes, dict]:
    def call(event: dict) -> dict:
        named = {"event": event["event_type"].replace("_", " ").title(), "type": "track"}
        return ({"type": "page"} if event["event_type"] == "page_viewed" else named) | {
            "messageId": event["event_id"],
            "userId": event["user_id"],
            "timestamp": event["occurred_at"],
            "context": {"sessionId": event.get("session_id"), "ip": "::1"},
            "properties": event["properties"],
        }

    return lines([call(event) for event in events]), {}


# How a person of the trade would tell it; what has no verb of its own is told by name.
XAPI = {
    "lesson_started": ("http://adlnet.gov/expapi/verbs/initialized", "http://adlnet.gov/expapi/activities/lesson"),
    "lesson_completed": ("http://adlnet.gov/expapi/verbs/completed", "http://adlnet.gov/expapi/activities/lesson"),
    "content_viewed": ("http://id.tincanapi.com/verb/viewed", "http://adlnet.gov/expapi/activities/media"),
    "content_started": ("http://activitystrea.ms/start", "https://w3id.org/xapi/video/activity-type/video"),
    "content_completed": (
        "http://adlnet.gov/expapi/verbs/completed",
        "https://w3id.org/xapi/video/activity-type/video",
    ),
    "content_rated": ("http://id.tincanapi.com/verb/rated", "http://activitystrea.ms/schema/1.0/article"),
    "content_searched": ("http://activitystrea.ms/search", ""),
    "page_viewed": ("http://id.tincanapi.com/verb/viewed", "http://activitystrea.ms/schema/1.0/page"),
}


def as_xapi(events: list[dict]) -> tuple[bytes, dict]:
    def statement(event: dict) -> dict:
        properties, result = dict(event["properties"]), {}
        verb, kind = XAPI.get(event["event_type"], (f"urn:tidemark:{event['event_type']}", "urn:x:thing"))
        if event["event_type"] == "content_rated":
            result["score"] = {"raw": properties.pop("rating"), "min": 1, "max": 5}
        if "score" in properties:
            result["score"] = {"scaled": Decimal(properties.pop("score")) / 100}
        if event["event_type"] in XAPI and "duration_seconds" in properties:
            result["duration"] = f"PT{properties.pop('duration_seconds')}S"
        if event["event_type"] == "content_searched":
            result["response"] = properties.pop("query")
        own_id = next(
            (properties.pop(n) for n in ("lesson_id", "content_id") if n in properties and verb[0] == "h"), "x"
        )
        extensions = {f"urn:tidemark:{name}": value for name, value in properties.items()}
        return {
            "id": event["event_id"],
            "actor": {"account": {"homePage": "https://lms.example", "name": event["user_id"]}},
            "verb": {"id": verb},
            "object": {"id": own_id, "definition": {"type": kind}},
            "result": result,
            "context": {"extensions": extensions | {"https://x.example/session-id": event.get("session_id")}},
            "timestamp": event["occurred_at"],
        }

    return encode([statement(event) for event in events]), {}


def as_cloudevents(events: list[dict]) -> tuple[bytes, dict]:
    def envelope(event: dict) -> dict:
        return {
            "specversion": "1.0",
            "id": event["event_id"],
            "source": "/x",
            "type": f"com.example.{event['event_type'].replace('_', '.', 1)}.v1",
            "time": event["occurred_at"],
            "userid": event["user_id"],
            "data": event["properties"] | {"session_id": event.get("session_id")},
        }

    return lines([envelope(event) for event in events]), {}


TYPES = {bool: "boolean", int: "integer", Decimal: "number", list: "json"}


def mapping(events: list[dict], path: str = "") -> dict:
    """Every property under its name; its type is that of the values, a number when they are of both kinds."""
    kinds = defaultdict(set)
    for event in events:
        for name, value in event["properties"].items():
            kinds[name].add(TYPES.get(type(value)))
    typed = {name: "number" if found == {"integer", "number"} else found.pop() for name, found in kinds.items()}
    properties = {name: {"column": path + name, "type": kind} for name, kind in typed.items()}
    return {name: name for name in COLUMNS} | {"properties": properties}


def as_csv(events: list[dict]) -> tuple[bytes, dict]:
    names = [*COLUMNS, *mapping(events)["properties"]]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, delimiter=";")
    writer.writeheader()
    for event in events:
        values = {name: event.get(name) for name in COLUMNS} | event["properties"]
        texts = {k: encode(v).decode() if isinstance(v, list | bool) else v for k, v in values.items()}
        writer.writerow(texts)
    return file.getvalue().encode("utf-8-sig"), {"mapping": mapping(events)}


def as_json(events: list[dict]) -> tuple[bytes, dict]:
    return encode(events), {"mapping": mapping(events, "properties.")}


def as_parquet(events: list[dict]) -> tuple[bytes, dict]:
    rows = [{name: event.get(name) for name in COLUMNS} | plain(event["properties"]) for event in events]
    table = pl.DataFrame(rows, infer_schema_length=None)
    table = table.with_columns(pl.col("occurred_at").str.to_datetime(time_zone="UTC"))
    file = io.BytesIO()
    table.write_parquet(file)
    kinds = mapping(events)["properties"]
    return file.getvalue(), {"mapping": mapping(events) | {"properties": dict.fromkeys(kinds) | {n: n for n in kinds}}}


def plain(value):
    match value:
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case Decimal():
            return float(value)
    return value


FORMS = {
    "native": as_native, "segment": as_segment, "xapi": as_xapi, "cloudevents": as_cloudevents,
    "csv": as_csv, "json": as_json, "parquet": as_parquet,
}  # fmt: skip


def exact(value):
    """Values that are equal when they mean the same: numbers whatever their decimals, objects without their nulls."""
    match value:
        case bool():
            return value
        case int():
            return Decimal(value)
        case list():
            return [exact(item) for item in value]
        case dict():
            return {name: exact(item) for name, item in value.items() if item is not None}
    return value


@pytest.mark.parametrize("form", FORMS)
def test_the_same_behaviour_is_the_same_events(form, told):
    content, settings = FORMS[form](told)
    source = Source.model_validate({"format": form} | settings)
    batches = list(READERS[form](io.BytesIO(content), source))
    assert [refusal for batch in batches for refusal in batch.refusals] == []
    found = [row for batch in batches for row in batch.frame.iter_rows(named=True)]
    assert len(found) == len(told)
    for row, event in zip(found, told, strict=True):
        assert row["event_id"].removeprefix("/x ") == event["event_id"]
        assert [row[name] for name in ("event_type", "user_id", "session_id")] == [
            event.get(name) for name in ("event_type", "user_id", "session_id")
        ]
        assert datetime.fromisoformat(row["occurred_at"]) == datetime.fromisoformat(event["occurred_at"])
        properties = exact(json.loads(row["properties"], parse_float=Decimal))
        expected = exact(event["properties"])
        assert {name: properties.get(name) for name in expected} == expected
