"""Personal values: they appear nowhere in the database, and their pseudonyms are the same everywhere."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import TidemarkError
from orchestration.ingest import quarantine
from orchestration.ingest.loader import ingest
from orchestration.ingest.personal import MASK, Personal
from orchestration.settings import contract
from orchestration.warehouse import database
from orchestration.warehouse.pseudonyms import Pseudonyms
from orchestration.warehouse.sealing import opened, sealed
from tests.ingest.conftest import event

CANARY = "canary.{}@example.com"


def canary(name: str) -> str:
    return CANARY.format(name)


# Where a personal value can stand: the lines of a file, each with a canary of its own.
PLANTED = {
    "at the top": event(1, properties={"email": canary("top"), "score": 1}),
    "nested": event(2, properties={"context": {"user": {"traits": {"e_mail": 1, "Email": canary("nested")}}}}),
    "in a list": json.dumps(event(3, properties={"products": [{"price": 0}, {"email": canary("list")}]})).replace(
        '"price": 0', '"price": 3.10'
    ),
    "a list itself": event(4, properties={"email": [canary("a"), [canary("b")], None]}),
    "an object": event(5, properties={"email": {"work": canary("work"), canary("key"): True}}),
    "beside the properties": event(6, email=canary("beside"), traits={"name": canary("name")}),
    "under an escaped name": json.dumps(event(7, properties={"x": 1}))
    .replace('"x"', '"\\u0065mail"')
    .replace(": 1}", f': "{canary("escaped")}"}}'),
    "twice": json.dumps(event(8, properties={"email": 1})).replace(
        '"email": 1', f'"email": "{canary("first")}", "email": "{canary("second")}"'
    ),
    "with a masked one": event(9, properties={"traits": {"address": {"city": canary("masked")}}}),
    "with a dropped one": event(10, properties={"birthday": canary("dropped"), "birth_date": None}),
    "in a conflicting duplicate": event(1, occurred_at="2026-03-02T10:00:00Z", properties={"email": canary("later")}),
    "of another type": event(11, user_id=True, properties={"email": canary("typed")}),
    "against the schema": event(12, properties={"score": canary("score"), "email": canary("schema")}),
    "where a number belongs": event(13, event_type="vote_cast", properties={"room_id": [canary("room")]}),
    "without a time": event(14, occurred_at="yesterday", properties={"email": canary("timeless")}),
    "in bytes that are no UTF-8": json.dumps(event(15, properties={"email": canary("bytes")})).encode() + b"\xff",
    "in broken JSON": f'{{"email": "{canary("broken")}", ',
    "in no object": f'["{canary("array")}"]',
    "beside a NUL": json.dumps(event(16, properties={"email": canary("nul") + "\0"})),
    "beside a number of no double": json.dumps(event(17, properties={"email": canary("huge"), "a": 0})).replace(
        '"a": 0', '"a": 1e999'
    ),
    "in conflict": event(18, email=canary("outside"), properties={"email": canary("inside")}),
}


def everything(connection) -> str:
    """All rows of all tables of the warehouse, as text; bytes are shown as the text they would be."""
    tables = connection.execute(
        """select format('%I.%I', nspname, relname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
           where relkind in ('r', 'm') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"""
    ).fetchall()
    found = []
    for (table,) in tables:
        for row in connection.execute(f"select * from {table}").fetchall():
            found += [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


def test_planted_values_appear_nowhere_in_the_database(write, warehouse, query):
    (load,) = ingest("native", [write("a.jsonl", list(PLANTED.values()))])
    assert load.received == len(PLANTED) and load.quarantined == 11
    with database.connect() as connection:
        stored = everything(connection)
        assert "lesson_completed" in stored and "conflicting_duplicate" in stored  # the search finds what is there
        assert "canary" not in stored and "example.com" not in stored
    properties = dict(query("select event_id, properties::text from raw.events"))
    assert re.fullmatch(r'\{"email": "pn_[0-9a-f]{20}", "score": 1\}', properties["e1"])
    assert json.loads(properties["e3"], parse_float=str)["products"][0]["price"] == "3.10"  # what is not personal stays
    assert json.loads(properties["e9"]) == {"traits": {"address": MASK}}
    assert json.loads(properties["e10"]) == {}


def test_a_quarantined_record_is_shown_as_it_came(write, query):
    line = PLANTED["against the schema"]
    ingest("native", [write("a.jsonl", [line])])
    ((quarantine_id, reason, detail),) = query("select quarantine_id, reason, detail from raw.quarantine")
    assert (reason, detail) == ("wrong_type", "properties.score: is a string, not a number or null")
    with database.connect() as connection:
        assert json.loads(quarantine.show(connection, quarantine_id)["payload"]) == line


def test_the_same_value_has_the_same_pseudonym_in_every_load_field_and_spelling(write, query):
    values = [{"email": "Ada@Example.com"}, {"actor": {"mbox": "mailto:ada@example.com"}}, {"ip": "ada@example.com "}]
    for number, properties in enumerate(values):
        ingest("native", [write(f"{number}.jsonl", [event(number, properties=properties)])])
    found = query("select regexp_replace(properties::text, '.*(pn_[0-9a-f]*).*', '\\1') from raw.events")
    assert len(found) == 3 and len(set(found)) == 1


def test_identifiers_stay_unless_the_contract_names_them(write, query, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text("sources: {app: {}}")
    lines = [event(1, user_id="ada@example.com", properties={"email": "ada@example.com"})]
    ingest("app", [write("a.jsonl", lines)])
    (tmp_path / "contract.yml").write_text("personal: {user_id: pseudonym, email: pseudonym}\nevents: {}")
    ingest("app", [write("b.jsonl", [{**lines[0], "event_id": "other"}])])
    stays, replaced = query("select user_id, properties ->> 'email' from raw.events order by load_id")
    assert stays[0] == "ada@example.com"
    assert replaced[0] == replaced[1] == stays[1]


def test_a_path_says_where_a_name_is_personal():
    personal = Personal({"traits.name": "mask", "name": "drop", "user_identified.title": "pseudonym"}, b"key")
    assert personal.handling(("page_viewed", "context", "Traits", "name")) == "mask"
    assert personal.handling(("page_viewed", "name")) == "drop"
    assert personal.handling(("user_identified", "title")) == "pseudonym"
    assert personal.handling(("page_viewed", "title")) is None
    assert personal.handling(("traits",)) is None


def test_a_pseudonym_is_keyed_and_its_own():
    ours, theirs = Pseudonyms(b"one"), Pseudonyms(b"two")
    assert ours.of("a") != theirs.of("a")
    assert ours.of(ours.of("a")) == ours.of("a")


@given(st.binary())
def test_what_is_sealed_opens_with_the_same_key_only(payload):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMARK_SECRET_KEY", "one")
        closed = sealed(payload)
        assert opened(closed) == payload
        assert len(payload) < 6 or payload not in closed[8:]
        patch.setenv("TIDEMARK_SECRET_KEY", "two")
        with pytest.raises(TidemarkError, match="another key"):
            opened(closed)


a_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["email", "a", "traits", "name", "phone"]), inner
    ), max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["email", "a", "b", "traits", "name"]), a_value))
def test_all_that_is_not_personal_keeps_its_value(properties):
    personal = Personal(contract().personal, b"key")

    def same(path, before, after):
        if isinstance(before, dict):
            for name in before:
                if personal.handling((*path, name)) is None:
                    same((*path, name), before[name], after[name])
        elif isinstance(before, list):
            for one, other in zip(before, after, strict=True):
                same(path, one, other)
        else:
            assert before == after

    same(("x",), properties, json.loads(personal.kept(("x",), json.dumps(properties))))


@pytest.mark.parametrize(
    ("properties", "others"),
    [
        ('{"email": "a@b", "note": "a@b", "a@b": 1}', {"note": "a@b", "a@b": 1}),
        ('{"email": "\\u0061@b", "note": "a@b"}', {"note": "a@b"}),
        ('{"email": ", ", "note": "x", "more": "y"}', {"note": "x", "more": "y"}),
        ('{"email": "", "note": "\\\\", "price": 1.10}', {"note": "\\", "price": "1.10"}),
        ('{"email": 17, "phone": "17", "note": 17}', {"note": 17}),
    ],
)
def test_only_the_personal_value_is_replaced_wherever_else_the_same_text_stands(write, query, properties, others):
    line = json.dumps(event(1)).replace('{"skill": "grammar", "score": 1}', properties)
    ingest("native", [write("a.jsonl", [line])])
    ((stored,),) = query("select properties::text from raw.events")
    found = json.loads(stored, parse_float=str)
    assert {name: found[name] for name in found if name not in ("email", "phone")} == others
    assert re.fullmatch("pn_[0-9a-f]{20}", found["email"])
    assert found.get("phone", found["email"]) == found["email"]
