"""Segment and RudderStack: calls become events of the vocabulary, and nothing of them is lost."""

import json

import pytest

from tests.ingest.dialects.reading import again, read

CALL = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "userId": "u1",
    "anonymousId": "a1",
    "timestamp": "2026-03-01T10:00:00Z",
    "receivedAt": "2026-03-01T10:00:01Z",
    "context": {"ip": "8.8.8.8", "sessionId": 17},
    "integrations": {"All": True},
    "properties": {"order_id": "o1", "currency": "usd", "total": "27.50", "products": [
        {"id": "p1", "price": 19.90, "quantity": 1}, {"sku": "s2", "price": "2.50", "quantity": 2},
        {"product_id": "p3", "sku": "s3", "price": 3, "quantity": 3}]},
}  # fmt: skip


def only(*calls: dict) -> list[dict]:
    events, refusals, _ = read("segment", list(calls))
    assert refusals == []
    return events


def test_an_order_is_the_order_of_the_vocabulary_with_all_that_was_said_beside_it():
    (event,) = only(CALL)
    assert [event[name] for name in ("event_id", "event_type", "user_id", "session_id")] == [
        "m1", "order_completed", "u1", "17",
    ]  # fmt: skip
    assert (event["occurred_at"], event["received_at"]) == (CALL["timestamp"], CALL["receivedAt"])
    assert event["properties"] == {
        "order_id": "o1",
        "currency": "USD",
        "total": "27.50",  # a number: the reader of this test keeps decimals as texts
        "products": [
            {"id": "p1", "product_id": "p1", "price": "19.9", "quantity": 1},
            {"sku": "s2", "product_id": "s2", "price": "2.50", "quantity": 2},
            {"sku": "s3", "product_id": "p3", "price": 3, "quantity": 3},
        ],
        "event": "Order Completed",
        "anonymousId": "a1",
        "context": {"ip": "8.8.8.8", "sessionId": 17},
        "integrations": {"All": True},
    }


@pytest.mark.parametrize(
    ("call", "event_type"),
    [
        ({"type": "page", "name": "Home"}, "page_viewed"),
        ({"type": "screen"}, "screen_viewed"),
        ({"type": "Identify", "traits": {"plan": "pro"}}, "user_identified"),
        ({"type": "group", "groupId": "g1"}, "group_joined"),
        ({"type": "alias", "previousId": "a0"}, "user_aliased"),
        ({"type": "track", "event": "Completed Order"}, "order_completed"),
        ({"event": "productViewed"}, "product_viewed"),
        ({"type": "track", "event": "Video Content Completed"}, "content_completed"),
        ({"type": "track", "event": "Übung  beendet!"}, "übung_beendet"),
        ({"type": "audiencelist"}, "audiencelist"),
        ({"type": "track"}, ""),
    ],
)
def test_every_call_has_an_event_type(call, event_type):
    assert only(call | {"userId": "u"})[0]["event_type"] == event_type


def test_a_wrong_clock_is_corrected_where_no_timestamp_is_given():
    # The device said it was 12:00 when it happened and 12:05 when it sent; the server received that at 10:00.
    skewed = {
        "event": "x",
        "originalTimestamp": "2026-03-01T12:00:00.250Z",
        "sentAt": "2026-03-01T14:05:00+02:00",
        "receivedAt": "2026-03-01T10:00:00Z",
    }
    corrected = "2026-03-01T09:55:00.250000+00:00"
    given = "2026-03-01T08:00:00Z"
    not_sent = {name: value for name, value in skewed.items() if name != "sentAt"}
    events = only(skewed, skewed | {"timestamp": given}, not_sent, {"event": "x", "sentAt": given})
    assert [event["occurred_at"] for event in events] == [corrected, given, skewed["originalTimestamp"], None]
    _, refusals, _ = read("segment", [skewed | {"sentAt": "2026-03-01T14:05:00"}, skewed | {"receivedAt": "soon"}])
    assert [reason for _, reason, _ in refusals] == ["invalid_time", "invalid_time"]


def test_who_is_unknown_is_anonymous():
    users = [{"anonymousId": "a"}, {"userId": "", "anonymousId": "a"}, {"userId": 7, "anonymousId": "a"}, {}]
    assert [event["user_id"] for event in only(*({"event": "x"} | user for user in users))] == ["a", "a", "7", None]


def test_the_calls_of_a_batch_share_what_is_said_of_it_and_stand_alone_in_quarantine():
    batch = {
        "sentAt": "2026-03-01T12:00:00Z",
        "context": {"library": {"name": "x"}},
        "writeKey": "secret",
        "batch": [CALL, {"type": "track", "event": 7}, CALL | {"messageId": "m2", "context": {"ip": "::1"}}],
    }
    events, refusals, payloads = read("segment", [batch, CALL | {"messageId": "m3"}])
    assert [(event["position"], event["event_id"]) for event in events] == [(1, "m1"), (3, "m2"), (4, "m3")]
    assert refusals == [(2, "wrong_type", "event: is int, not a string")]
    assert events[0]["properties"]["sentAt"] == batch["sentAt"]
    assert [event["properties"]["context"] for event in events] == [
        CALL["context"], {"ip": "::1"}, CALL["context"],
    ]  # fmt: skip
    assert "secret" not in json.dumps(events)
    assert json.loads(payloads[2]) == batch | {"batch": [batch["batch"][1]]}
    assert again("segment", payloads) == events


def test_a_name_that_a_property_has_already_takes_a_prefix():
    call = {"type": "page", "userId": "u", "name": "Home", "category": "Docs"}
    same, other = only(*(call | {"properties": {"name": name}} for name in ("Home", "Start")))
    assert same["properties"] == {"name": "Home", "category": "Docs", "title": "Home"}
    assert other["properties"] == {"name": "Start", "segment_name": "Home", "category": "Docs", "title": "Start"}
    both = call | {"properties": {"name": "Start", "segment_name": "?"}}
    assert read("segment", [both])[1][0][1] == "conflicting_field"


def test_fields_of_the_wrong_kind_are_named():
    wrong = [
        {"event": {}},
        {"properties": "x"},
        {"timestamp": 1571043797562},
        {"userId": True},
        {"context": {"sessionId": []}},
    ]
    _, refusals, _ = read("segment", wrong)
    assert [(reason, detail.partition(":")[0]) for _, reason, detail in refusals] == [
        ("wrong_type", name) for name in ("event", "properties", "timestamp", "userId", "context.sessionId")
    ]
