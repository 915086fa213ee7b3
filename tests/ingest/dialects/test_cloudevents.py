"""CloudEvents: envelopes become events, whatever they carry."""

import base64

import pytest

from tests.ingest.dialects.reading import read

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "com.example.order.placed",
    "time": "2026-03-01T10:00:00Z",
}


def only(**changes) -> dict:
    ((event,), refusals, _) = read("cloudevents", [EVENT | changes])
    assert refusals == []
    return event


@pytest.mark.parametrize(
    ("told", "event_type"),
    [
        ("com.example.order.placed", "com.example.order.placed"),
        ("com.example.lesson.completed", "lesson_completed"),
        ("com.example.LessonCompleted.v2", "lesson_completed"),
        ("lesson_completed", "lesson_completed"),
        ("com.example.order.line.recorded", "order_line_recorded"),
    ],
)
def test_a_type_that_ends_in_a_word_of_the_vocabulary_is_that(told, event_type):
    event = only(type=told)
    assert event["event_type"] == event_type
    assert event["properties"].get("type", event_type) == told


def test_source_and_id_are_the_identity_and_data_are_the_properties():
    event = only(data={"user_id": 7, "session_id": "s", "price": 2.50, "id": "own", "source": "shop"}, traceparent="00")
    assert (event["event_id"], event["user_id"], event["session_id"]) == ("/s 1", "7", "s")
    assert event["properties"] == {
        "price": "2.5", "id": "own", "source": "shop", "ce_source": "/s", "specversion": "1.0", "traceparent": "00",
    }  # fmt: skip
    assert only(userid="u", data={"user_id": "kept"})["properties"]["user_id"] == "kept"


@pytest.mark.parametrize("data", ["<xml/>", [1], 1.5, None])
def test_data_that_is_no_object_is_kept_whole(data):
    assert only(data=data)["properties"]["data"] == (str(data) if data == 1.5 else data)


def test_data_in_base64_is_read_when_it_is_json():
    told = base64.b64encode(b'{"xyz": 1.10}').decode()
    assert only(data_base64=told)["properties"] == {"source": "/s", "specversion": "1.0", "xyz": "1.10"}
    for other in ({"data_base64": "%"}, {"data_base64": told, "datacontenttype": "image/png"}):
        assert only(**other)["properties"]["data_base64"] == other["data_base64"]
