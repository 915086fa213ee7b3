"""What is voided counts no more, whichever of the two comes first; what voids stays, and counts."""

import json
from itertools import count, permutations

import pytest

from orchestration.ingest.loader import ingest
from orchestration.ingest.quarantine import Selection, replay

ADL = "http://adlnet.gov/expapi/verbs"
AT = {"lesson": "2026-03-01T10:05:00Z", "void": "2026-03-05T12:00:00Z", "void of the void": "2026-03-06T12:00:00Z"}


def statement(name: str, verb: str = "answered", voids: str | None = None) -> dict:
    done = {"objectType": "StatementRef", "id": voids} if voids else {"id": "https://lms.example/q1"}
    who = {"account": {"homePage": "https://lms.example", "name": "u1"}}
    return {"id": name, "timestamp": AT[name], "actor": who, "verb": {"id": f"{ADL}/{verb}"}, "object": done}


TOLD = {
    "lesson": statement("lesson"),
    "void": statement("void", "voided", "lesson"),
    "void of the void": statement("void of the void", "voided", "void"),
}


@pytest.fixture
def tell(write):
    """Load these statements as one file; returns the number of the load."""
    numbers = count()

    def tell(*names: str, source: str = "xapi") -> int:
        path = write(f"{next(numbers)}.jsonl", [json.dumps(TOLD[name]) for name in names])
        return ingest(source, [path])[0].load_id

    return tell


def voided(query, up_to: int = 0) -> list[tuple]:
    query_ = "select source, event_id from ops.voided, set_config('tidemark.up_to', %s, true) order by 1, 2"
    return query(query_, str(up_to))


def touched(query, load_id: int) -> set[str]:
    return {hour for (hour,) in query("select hour::text from raw.touched_hours where load_id = %s", load_id)}


@pytest.mark.parametrize("order", list(permutations(TOLD)), ids=" → ".join)
def test_in_any_order_the_voided_one_counts_no_more_and_both_are_kept(tell, query, order):
    """A build finds the hour of the voided one touched by the later of the two. What voids cannot be voided."""
    loads = {name: tell(name) for name in order}
    assert query("select count(*) from raw.events") == [(3,)]
    assert voided(query) == [("xapi", "lesson")]
    later = max(loads["lesson"], loads["void"])
    assert "2026-03-01 10:00:00+00" in touched(query, later)


def test_a_build_sees_no_void_beyond_its_mark(tell, query):
    first, second = tell("lesson"), tell("void")
    assert voided(query, first) == []
    assert voided(query, second) == [("xapi", "lesson")]


def test_one_load_may_bring_both_and_a_void_told_twice_touches_nothing(tell, query):
    tell("void", "lesson")
    assert voided(query) == [("xapi", "lesson")]
    assert touched(query, tell("lesson", "void")) == set()
    assert query("select count(*) from raw.voids") == [(1,)]


def test_only_statements_of_the_same_source_are_voided_and_only_by_a_reference(tell, query, write, configure):
    configure("sources:\n  xapi: {format: xapi}\n  other: {format: xapi}\n")
    tell("lesson")
    tell("void", source="other")
    no_reference = TOLD["void"] | {"object": {"id": "lesson"}}
    ingest("xapi", [write("activity.jsonl", [no_reference])])
    assert voided(query) == [("other", "lesson")]


def test_a_void_that_gives_way_to_an_earlier_record_voids_no_more(query, write, configure):
    """That one had no user, and waited in quarantine until it needed none."""
    first = statement("void") | {"actor": {}}
    configure("sources: {xapi: {format: xapi}}")
    ingest("xapi", [write("a.jsonl", [first, TOLD["lesson"], TOLD["void"]])])
    assert voided(query) == [("xapi", "lesson")]
    configure("sources: {xapi: {format: xapi, user_id: optional}}")
    ((done,), _) = replay(Selection())
    assert query("select event_type from raw.events where event_id = 'void'") == [("answered",)]
    assert voided(query) == []
    assert touched(query, done.load_id) == {"2026-03-01 10:00:00+00", "2026-03-05 12:00:00+00"}
