"""How JSON records stand in files: lines, arrays, documents of several lines, batches; and what is wrong with them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.ingest.contract import BrokenFile
from orchestration.ingest.dialects import records
from tests.ingest.dialects.reading import again, read

EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-03-01T10:00:00Z"}
EVENTS = [EVENT | {"id": str(number), "data": {"text": 'a ] } " \\ é\u2028', "price": 2}} for number in range(7)]


@pytest.mark.parametrize("block", [64, 1000, 8 << 20])
@pytest.mark.parametrize(
    "content",
    [
        b"\n".join(json.dumps(event).encode() for event in EVENTS),
        b"\r\n\r\n".join(json.dumps(event).encode() for event in EVENTS) + b"\r\n",
        json.dumps(EVENTS).encode(),
        json.dumps(EVENTS, ensure_ascii=False).encode() + b"\n",
        b"\xef\xbb\xbf" + json.dumps(EVENTS, indent=2).encode(),
        "\n".join(json.dumps(event, indent=1, ensure_ascii=False) for event in EVENTS).encode(),
        json.dumps(EVENTS[:3]).encode() + b"\n" + json.dumps(EVENTS[3:]).encode() + b"\n[]\n",
    ],
    ids=["lines", "blank lines", "array", "array line", "indented array", "documents", "lines of arrays"],
)
def test_the_same_records_are_found_however_they_stand_in_a_file(content, block, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", block)
    events, refusals, payloads = read("cloudevents", content)
    assert [(event["position"], event["event_id"]) for event in events] == [(n + 1, f"/s {n}") for n in range(7)]
    assert {event["properties"]["text"] for event in events} == {EVENTS[0]["data"]["text"]}
    assert refusals == []
    assert again("cloudevents", payloads) == events


BROKEN = {
    b'{"type": "caf\xe9"}': "invalid_utf8",
    b'{"data": {"a": "caf\xe9"}}': "invalid_utf8",
    b'{"type": "cut o': "invalid_json",
    b'{"data": {"a": NaN}}': "invalid_json",
    b'{"type": 1}': "wrong_type",
    b'"text"': "not_an_object",
    b'{"type": "\\ud800"}': "invalid_text",
    b'{"data": ' + b"[" * 20_000 + b"]" * 20_000 + b"}": "nested_too_deeply",
    b'{"data": "' + b"x" * (10 << 20) + b'"}': "value_too_large",
}


def test_each_broken_line_is_refused_alone():
    good = json.dumps(EVENT).encode()
    lines = [line for broken in BROKEN for line in (broken, good)]
    events, refusals, payloads = read("cloudevents", b"\n".join(lines))
    assert [event["position"] for event in events] == list(range(2, 2 * len(BROKEN) + 1, 2))
    assert [(position, reason) for position, reason, _ in refusals] == [
        (2 * number + 1, reason) for number, reason in enumerate(BROKEN.values())
    ]
    assert payloads == dict(enumerate(lines, 1))


def test_a_broken_member_of_an_array_is_refused_alone():
    members = [json.dumps(EVENT).encode(), b'{"type": 1}', b'{"data": NaN}', b'{"type": "\xe9"}', b"[1]", b"7"]
    for content in (b"[" + b",".join(members) + b"]", b"[\n" + b",\n".join(members) + b"\n]\n"):
        events, refusals, payloads = read("cloudevents", content)
        assert [event["position"] for event in events] == [1]
        reasons = ["wrong_type", "invalid_json", "invalid_utf8", "not_an_object", "not_an_object"]
        if len(refusals) == 1:  # an array that stands on a line is one piece of JSON, which is broken as a whole
            assert content.count(b"\n") == 0
        else:
            assert [reason for _, reason, _ in refusals] == reasons
            assert [payloads[position] for position, *_ in refusals] == [*members[1:4], b"1", b"7"]


@pytest.mark.parametrize(
    "content", [b"[\n{},\n{}\n", b'[\n{"a": 1}\n{"a": 2}\n]', b'[\n{"a" 1}\n]', b"[\n" + b"[" * 99_999]
)
def test_a_document_that_is_no_json_is_refused_as_a_whole(content):
    with pytest.raises(BrokenFile, match=r"JSON"):
        read("json", content, mapping={"event_type": "a", "occurred_at": "b"})


def test_a_broken_first_line_does_not_make_a_document_of_lines():
    good = json.dumps(EVENT).encode()
    for broken in (b'{"type": "cut o', b'{"type": 1, "data": {', b'["a",'):
        events, refusals, _ = read("cloudevents", b"\n".join([broken, good, good]))
        assert [event["position"] for event in events] == [2, 3]
        assert [(position, reason) for position, reason, _ in refusals] == [(1, "invalid_json")]


def test_a_long_array_is_read_a_piece_at_a_time():
    class Endless(io.RawIOBase):
        """An array of a million events and more, of which nobody asks for all."""

        given = 0

        def read(self, size):
            self.given += size
            return (b"[" if self.given == size else b"") + (json.dumps(EVENT).encode() + b",") * (size // 100)

    stream = Endless()
    from orchestration.ingest.dialects import READERS
    from orchestration.settings import Source

    batch = next(READERS["cloudevents"](stream, Source(format="cloudevents")))
    assert batch.received > 1000
    assert stream.given <= 3 * records.BLOCK_BYTES


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([*list(BROKEN)[:7], json.dumps(EVENT).encode()]))))
def test_every_line_is_accounted_for(lines):
    lines = [line.replace(b"\n", b"").replace(b"[", b"") for line in lines]
    content = b"\n".join([b'{"type": "first"}', *lines])
    events, refusals, payloads = read("cloudevents", content)
    assert len(events) + len(refusals) == 1 + sum(1 for line in lines if line and not line.isspace())
    assert all(payload in content for payload in payloads.values())
