"""Schema changes: what is recorded of the fields of each source and event type, and when it stands out."""

from datetime import timedelta

import pytest

from orchestration import summary
from orchestration.ingest.loader import ingest
from orchestration.ingest.quarantine import Selection, replay
from orchestration.warehouse import database
from tests.ingest.conftest import BASE, event


@pytest.fixture
def load(write, warehouse):
    """Load events of these properties, a minute apart, from a day on."""
    number = iter(range(1_000_000))

    def load(*properties: dict, day: int = 0, event_type: str = "made") -> None:
        first = BASE + timedelta(days=day)
        lines = [
            event(next(number), event_type=event_type, properties=some,
                  occurred_at=(first + timedelta(minutes=minute)).isoformat())
            for minute, some in enumerate(properties)
        ]  # fmt: skip
        ingest("native", [write(f"{next(number)}.jsonl", lines)])

    return load


@pytest.fixture
def changes(warehouse):
    def changes() -> set[tuple[str, str, str, bool]]:
        with database.connect(rows=True) as connection:
            found = summary.schema_changes(connection)
            return {(row["field"], row["change"], row["detail"], row["is_open"]) for row in found}

    return changes


def test_every_field_is_recorded_with_its_types_times_and_loads(load, query):
    load({"a": 1, "b": {"c": "x", "d": [1]}}, {"a": 2.5, "b": None}, {"a": "3"})
    load({"a": True}, day=1)
    found = query(
        """select field, type, carried, arrived, absent, first_at, last_at, first_load_id, last_load_id
           from raw.fields order by field, type"""
    )
    at = [BASE + timedelta(minutes=minute) for minute in range(3)]
    later = BASE + timedelta(days=1)
    (one,), (two,) = query("select load_id from raw.loads order by load_id")
    assert found == [
        ("", "object", 4, 4, 0, at[0], later, one, two),
        ("a", "boolean", 1, 1, 0, later, later, two, two),
        ("a", "number", 2, 4, 1, at[0], at[1], one, one),
        ("a", "string", 1, 4, 1, at[2], at[2], one, one),
        ("b", "object", 1, 4, 1, at[0], at[0], one, one),
        ("b.c", "string", 1, 4, 1, at[0], at[0], one, one),
        ("b.d", "array", 1, 4, 1, at[0], at[0], one, one),
    ]


def test_the_first_load_of_a_type_changes_nothing(load, changes):
    load({"a": 1}, {"b": "x"})
    load({"a": 1})
    assert changes() == set()


def test_a_new_field_is_told_and_does_not_stand_out(load, changes):
    load({"a": 1})
    load({"a": 1, "b": 1})
    assert changes() == {("b", "new", "is new", False)}


def test_another_type_stands_out_until_it_is_gone_or_has_stood_for_a_week(load, changes):
    load({"a": 1})
    load({"a": "1"}, day=1)
    said = "is string, and was number"
    assert changes() == {("a", "type", said, True)}
    load({"a": "1"}, day=7)
    assert changes() == {("a", "type", said, True)}
    load({"a": "1"}, day=8)
    assert changes() == {("a", "type", said, False)}
    load({"a": 1}, event_type="other")
    load({"a": []}, event_type="other")
    assert ("a", "type", "is array, and was number", True) in changes()
    load(*[{"a": 1}] * 1000, event_type="other")
    assert ("a", "type", "is array, and was number", False) in changes()


def test_a_field_is_gone_when_the_newest_thousand_lack_what_nearly_all_had(load, changes):
    load(*[{"a": 1, "b": 1, "often": 1}] * 3, {"a": 1, "b": 1})
    load(*[{"a": 1}] * 999, day=1)
    assert changes() == set()
    load({"a": 1}, day=2)
    assert changes() == {("b", "vanished", "is gone from the newest 1000 records", True)}
    load({"a": 1, "b": 1}, day=3)
    assert changes() == set()


def test_history_that_never_had_a_field_does_not_make_it_vanish(load, changes):
    load(*[{"a": 1, "b": 1}] * 3)
    load(*[{"a": 1}] * 2000, day=-400)
    assert changes() == set()


def test_what_the_contract_refuses_is_seen_too(load, changes):
    load({"score": 1}, event_type="lesson_completed")
    load({"score": "1"}, event_type="lesson_completed")
    assert changes() == {("score", "type", "is string, and was number", True)}


def test_objects_that_are_keyed_by_values_do_not_fill_the_table(load, query):
    load({"votes": {f"u{n}": 1 for n in range(3000)}})
    load({"votes": {f"v{n}": 1 for n in range(3000)}}, {"more": 1})
    ((count,),) = query("select count(*) from raw.fields")
    assert count <= 2000
    assert query("select count(*) from raw.fields where field like 'votes.v%%'") == [(0,)]


def test_a_replay_records_what_could_not_be_read_before_and_nothing_twice(write, query, configure):
    """As of the load in which a record came: the first of `made` had the field that seemed to be new."""
    configure("sources: {native: {contract: strict}}")
    odd = {"event_type": "lesson_completed", "properties": {"score": "high"}}
    ingest("native", [write("a.jsonl", [event(1, event_type="made", properties={"a": 1}), event(2, **odd)])])
    configure("sources: {native: {}}")
    ingest("native", [write("b.jsonl", [event(3, event_type="made", properties={"b": 1})])])
    replay(Selection())
    replay(Selection())
    found = query(
        """select event_type, field, type, carried, first.locator ~ 'a.jsonl', last.locator ~ 'a.jsonl'
           from raw.fields
           join raw.loads as first on first.load_id = first_load_id
           join raw.loads as last on last.load_id = last_load_id
           order by 1, 2"""
    )
    assert found == [
        ("lesson_completed", "", "object", 1, True, True),
        ("lesson_completed", "score", "string", 1, True, True),
        ("made", "", "object", 2, True, False),
        ("made", "a", "number", 1, True, True),
        ("made", "b", "number", 1, False, False),
    ]
