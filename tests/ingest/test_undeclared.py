"""Personal values in fields that nobody declared: found by what they look like, and handled as the source says."""

import pytest

from orchestration import summary
from orchestration.ingest import undeclared
from orchestration.ingest.loader import ingest
from orchestration.warehouse import database
from tests.ingest.conftest import event


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ada@example.com", "mail"),
        ("write to ada@example.com today", "mail"),
        ("+49 30 901820", "telephone"),
        ("+1 (212) 555-2368", "telephone"),
        ("+99 1234567890", None),  # no such country
        ("192.168.1.20", "ip"),
        ("2001:db8::1", "ip"),
        ("1.2.3", None),
        ("4111 1111 1111 1111", "card"),
        ("4111 1111 1111 1112", None),  # another check digit
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("DE89370400440532013001", None),
        ("Maria Schmidt", "name"),
        ("maria", None),  # a word like any other
        ("Vocabulary", None),
        ("", None),
    ],
)
def test_what_a_text_looks_like(text, kind):
    assert undeclared.kind_of(text) == kind


@pytest.mark.parametrize("handling", ["report", "mask", "drop"])
def test_a_field_is_handled_from_its_first_load_on(configure, write, query, handling):
    configure(f"sources:\n  native: {{format: native, undeclared: {handling}}}\n")
    first = [event(n, properties={"note": {"by": f"ada{n}@example.com"}, "city": "Bonn"}) for n in range(5)]
    ingest("native", [write("a.jsonl", first)])
    later = event(9, properties={"note": {"by": "no address"}, "city": "bo@example.com"})
    ingest("native", [write("b.jsonl", [later])])
    kept = [properties["note"].get("by", "dropped") for (properties,) in query("select properties from raw.events")]
    if handling == "report":
        assert sorted(kept)[:2] == ["ada0@example.com", "ada1@example.com"]
    else:
        assert set(kept) == {"[masked]" if handling == "mask" else "dropped"}
    with database.connect(rows=True) as connection:
        found = {
            (row["field"], row["kind"], row["hits"], row["handling"]) for row in summary.personal_fields(connection)
        }
    assert ("note.by", "mail", 5, handling) in found


def test_one_in_many_is_reported_and_left(configure, write, query):
    configure("sources:\n  native: {format: native, undeclared: mask}\n")
    events = [event(n, properties={"comment": "fine"}) for n in range(19)]
    ingest("native", [write("a.jsonl", [*events, event(20, properties={"comment": "ask ada@example.com"})])])
    assert query("select field, kind, sampled, hits, handling from raw.personal_fields") == [
        ("comment", "mail", 20, 1, "report")
    ]
    assert query("select count(*) from raw.events where properties ->> 'comment' = '[masked]'") == [(0,)]
