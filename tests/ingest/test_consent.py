"""Consent: who is left out of what and since when, whichever way the events come."""

from datetime import timedelta

from orchestration.ingest.loader import ingest
from tests.ingest.conftest import BASE, event


def said(number: int, kind: str, purpose, user: str = "u1") -> dict:
    return event(number, event_type=f"consent_{kind}", user_id=user, properties={"purpose": purpose})


def without(query) -> list[tuple]:
    return query("select user_id, purpose, since, until from ops.without_consent order by purpose, since")


def at(number: int):
    return BASE + timedelta(minutes=number)


def test_somebody_is_left_out_from_a_withdrawal_until_they_agree_again(write, query):
    events = [
        said(5, "withdrawn", ["analytics", "models"]),
        said(90, "given", "analytics"),
        said(7, "given", "reports"),
    ]
    ingest("native", [write("a.jsonl", events)])
    assert without(query) == [("u1", "analytics", at(5), at(90)), ("u1", "models", at(5), None)]
    refused = ingest("native", [write("b.jsonl", [said(9, "withdrawn", "everything"), said(10, "given", None)])])[0]
    assert refused.quarantined == 2


def test_a_late_withdrawal_touches_what_was_done_since(write, query):
    """Events of three hours by two people; then one of them turns out to have withdrawn in the second hour."""
    events = [event(number, user_id=user) for number, user in [(1, "u1"), (70, "u1"), (80, "u2"), (130, "u1")]]
    ingest("native", [write("a.jsonl", events)])
    ingest("native", [write("b.jsonl", [said(65, "withdrawn", "analytics")])])
    hours = "select hour from raw.touched_hours where load_id = (select max(load_id) from raw.loads) order by 1"
    assert query(hours) == [(BASE + timedelta(hours=1),), (BASE + timedelta(hours=2),)]
    ingest("native", [write("c.jsonl", [said(3, "withdrawn", "models")])])
    assert query(hours) == [(BASE,)]  # only that of the event itself
