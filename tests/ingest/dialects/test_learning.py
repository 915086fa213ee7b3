"""xAPI, Caliper and Open edX: the same learning in three languages."""

import json

import pytest

from tests.ingest.dialects.reading import again, read

ADL = "http://adlnet.gov/expapi"
STATEMENT = {
    "id": "12345678-1234-5678-1234-567812345678",
    "actor": {"account": {"homePage": "https://lms.example", "name": "u1"}, "name": "Ada"},
    "verb": {"id": f"{ADL}/verbs/completed"},
    "object": {"id": "https://lms.example/lessons/7", "definition": {"type": f"{ADL}/activities/lesson"}},
    "result": {"score": {"scaled": 0.856, "raw": 8.56, "min": 0, "max": 10}, "duration": "PT1H0M30.25S"},
    "context": {
        "extensions": {
            "https://example.com/ext/skill": "grammar",
            "urn:tidemark:mood": 1.50,
            "https://w3id.org/xapi/video/extensions/session-id": "s1",
        }
    },
    "timestamp": "2026-03-01T10:00:00Z",
    "stored": "2026-03-01T10:00:02Z",
}


def only(form: str, *records: dict) -> list[dict]:
    events, refusals, _ = read(form, list(records))
    assert refusals == []
    return events


def test_a_completed_lesson_keeps_its_score_and_its_duration_to_the_last_digit():
    (event,) = only("xapi", STATEMENT)
    kept = {name: STATEMENT[name] for name in ("actor", "verb", "object", "result", "context")}
    properties = event.pop("properties")
    assert event == {
        "position": 1,
        "event_id": STATEMENT["id"],
        "event_type": "lesson_completed",
        "occurred_at": STATEMENT["timestamp"],
        "received_at": STATEMENT["stored"],
        "user_id": "u1",
        "session_id": "s1",
    }
    derived = {name: value for name, value in properties.items() if name not in kept}
    assert derived == {
        "lesson_id": "https://lms.example/lessons/7", "score": "85.6", "duration_seconds": "3630.25",
        "skill": "grammar", "mood": "1.5",
    }  # fmt: skip
    assert json.loads(json.dumps(properties), parse_float=str).keys() == derived.keys() | kept.keys()


@pytest.mark.parametrize(
    ("verb", "kind", "event_type"),
    [
        (f"{ADL}/verbs/initialized", f"{ADL}/activities/lesson", "lesson_started"),
        (f"{ADL}/verbs/attempted", f"{ADL}/activities/assessment", "lesson_started"),
        (f"{ADL}/verbs/completed", "https://w3id.org/xapi/video/activity-type/video", "content_completed"),
        (f"{ADL}/verbs/experienced", "http://activitystrea.ms/schema/1.0/article", "content_viewed"),
        ("http://id.tincanapi.com/verb/rated", f"{ADL}/activities/media", "content_rated"),
        ("https://w3id.org/xapi/dod-isd/verbs/navigated", "", "page_viewed"),
        (f"{ADL}/verbs/passed", f"{ADL}/activities/lesson", "passed"),  # beside `completed`, of the same attempt
        (f"{ADL}/verbs/completed", f"{ADL}/activities/course", "completed"),
        ("https://example.com/verbs/Turned-In", "", "turned_in"),
        ("urn:tidemark:order_completed", "", "order_completed"),
        (f"{ADL}/verbs/voided", "", "statement_voided"),
    ],
)
def test_a_verb_and_an_activity_are_an_event_type(verb, kind, event_type):
    changed = {"verb": {"id": verb}, "object": {"id": "https://x/1", "definition": {"type": kind}}}
    assert only("xapi", STATEMENT | changed)[0]["event_type"] == event_type


@pytest.mark.parametrize(
    ("score", "points"),
    [
        ({"scaled": 0.07}, 7),
        ({"scaled": -0.5}, -50),
        ({"raw": 3, "min": 1, "max": 5}, 50),
        ({"raw": 7, "max": 10}, 70),
        ({"raw": 85.5}, "85.5"),  # SCORM's range is 0 to 100
        ({"raw": 850}, None),
        ({"raw": 1, "max": 0}, None),
        ({"scaled": 1e300}, None),
        ({}, None),
    ],
)
def test_a_score_is_of_a_hundred(score, points):
    assert only("xapi", STATEMENT | {"result": {"score": score}})[0]["properties"].get("score") == points


@pytest.mark.parametrize(
    ("duration", "seconds"), [("PT03M15S", 195), ("P1DT1S", 86401), ("PT0S", 0), ("P1M", None), ("soon", None)]
)
def test_a_duration_is_in_seconds(duration, seconds):
    properties = only("xapi", STATEMENT | {"result": {"duration": duration}})[0]["properties"]
    assert properties.get("duration_seconds") == seconds
    assert properties["result"] == {"duration": duration}


@pytest.mark.parametrize(
    ("actor", "user_id"),
    [
        ({"account": {"homePage": "x", "name": 17}}, "17"),
        ({"mbox": "mailto:ada@example.org"}, "ada@example.org"),
        ({"mbox_sha1sum": "abc"}, "abc"),
        ({"openid": "https://ada.example"}, "https://ada.example"),
        ({"objectType": "Group", "member": [{"mbox": "mailto:a@b.c"}]}, None),
    ],
)
def test_who_did_it(actor, user_id):
    assert only("xapi", STATEMENT | {"actor": actor})[0]["user_id"] == user_id


def test_a_voided_statement_is_named_and_a_time_that_is_missing_is_that_of_storing():
    voided = {"verb": {"id": f"{ADL}/verbs/voided"}, "object": {"objectType": "StatementRef", "id": "s7"}}
    statement = {name: value for name, value in STATEMENT.items() if name != "timestamp"}
    (event,) = only("xapi", statement | voided)
    assert (event["event_type"], event["properties"]["statement_id"]) == ("statement_voided", "s7")
    assert event["occurred_at"] == STATEMENT["stored"]


def test_what_a_store_answers_is_unfolded_and_a_wrong_statement_is_refused_alone():
    answer = {"statements": [STATEMENT, STATEMENT | {"actor": {"mbox": 7}}, STATEMENT | {"id": "2"}], "more": "/more"}
    for content in (json.dumps(answer).encode(), json.dumps(answer, indent=1).encode()):
        events, refusals, payloads = read("xapi", content)
        assert [event["position"] for event in events] == [1, 3]
        assert refusals == [(2, "wrong_type", "actor.mbox: is int, not a string")]
        assert json.loads(payloads[2]) == answer | {"statements": [answer["statements"][1]]}
        assert again("xapi", payloads) == events


def test_the_events_of_a_caliper_envelope():
    event = {
        "@context": "http://purl.imsglobal.org/ctx/caliper/v1p2",
        "id": "urn:uuid:1",
        "type": "AssessmentEvent",
        "action": "Completed",
        "actor": "https://lms.example/users/1",
        "object": {"id": "https://lms.example/quiz/1", "type": "Assessment", "name": "Quiz"},
        "generated": {"type": "Attempt", "id": "_:a", "duration": "PT5M"},
        "eventTime": "2026-03-01T10:00:00.000Z",
        "session": {"id": "https://lms.example/sessions/1", "type": "Session"},
    }
    graded = event | {
        "id": "urn:uuid:2",
        "action": "Graded",
        "generated": {"type": "Score", "scoreGiven": 15, "maxScore": 20},
    }
    person = {"id": "https://lms.example/users/1", "type": "Person"}
    envelope = {
        "sensor": "https://lms.example/sensor",
        "sendTime": "2026-03-01T10:00:01Z",
        "data": [event, graded, person],
    }
    events, refusals, payloads = read("caliper", [envelope])
    assert refusals == []
    assert [row["event_type"] for row in events] == ["lesson_completed", "graded", ""]  # an entity is no event
    assert events[0]["user_id"] == "https://lms.example/users/1"
    first, second = events[0]["properties"], events[1]["properties"]
    assert (first["lesson_id"], first["title"], first["duration_seconds"]) == (
        "https://lms.example/quiz/1",
        "Quiz",
        300,
    )
    assert (second["score"], second["sensor"]) == (75, envelope["sensor"])
    assert again("caliper", payloads) == events


def test_a_problem_of_several_questions_is_an_event_and_one_for_each():
    log = {
        "name": "problem_check",
        "context": {"user_id": 8, "course_id": "course-v1:a+b+c"},
        "event_source": "server",
        "time": "2023-08-03T06:32:31.431355+00:00",
        "event": {"grade": 2, "max_grade": 3, "problem_id": "p", "submission": {"q1": {"correct": True}, "q2": {}}},
    }
    line = b"2023-08-03 06:32:31,4 INFO 8 [tracking] [user 8] [ip 1] logger.py:41 - " + json.dumps(log).encode()
    events, refusals, payloads = read("openedx", line)
    assert refusals == []
    assert [(event["position"], event["event_type"]) for event in events] == [(n, "evaluated") for n in (1, 2, 3)]
    assert [event["properties"].get("question_id") for event in events] == [None, "q1", "q2"]
    assert events[0]["properties"]["score"].startswith("66.666")
    assert again("openedx", payloads) == events
