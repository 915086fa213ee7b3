"""The contract's schemas: the verdict is JSON Schema's, the reason is ours, and a mistake in the file has a line."""

import json

import jsonschema
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.ingest.contract import VOCABULARY, Reason
from orchestration.ingest.loader import ingest
from orchestration.ingest.schemas import Judge
from orchestration.settings import Contract
from tests.ingest.conftest import event


def judged(schema: dict, *properties: str) -> list[tuple[str, str] | None]:
    """(reason, detail) of each of these properties, None for those that are accepted."""
    judge = Judge(Contract(personal={}, events={"made": schema}), b"key")
    frame = pl.DataFrame(
        {
            "position": range(len(properties)),
            "event_type": "made",
            "occurred_at": 0,
            "properties": properties,
            **dict.fromkeys(("event_id", "user_id", "session_id"), "x"),
        }
    )
    events, refusals = judge.judged(frame)
    assert sorted([*events["position"], *(refusal.position for refusal in refusals)]) == list(range(len(properties)))
    found = {refusal.position: (refusal.reason, refusal.detail) for refusal in refusals}
    return [found.get(position) for position in range(len(properties))]


@pytest.mark.parametrize(
    ("schema", "properties", "reason", "detail"),
    [
        ({"properties": {"a": {"type": "number"}}}, '{"a": "1"}', Reason.WRONG_TYPE,
         "properties.a: is a string, not a number"),
        ({"properties": {"a": {"type": ["null", "integer"]}}}, '{"a": 1.5}', Reason.WRONG_TYPE,
         "properties.a: is a number, not an integer or null"),
        ({"properties": {"a": {"items": {"required": ["b"]}}}}, '{"a": [{"b": 1}, {}]}', Reason.MISSING_FIELD,
         "properties.a.1.b: is missing"),
        ({"properties": {"a": {}}, "additionalProperties": False}, '{"a": 1, "b": 2}', Reason.UNKNOWN_FIELD,
         "properties: has 'b', which the contract does not name"),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, '{"a": "secret"}', Reason.INVALID_VALUE,
         'properties.a: the value is not one of "x" or "y"'),
        ({"properties": {"a": {"maximum": 5}}}, '{"a": 7}', Reason.INVALID_VALUE,
         "properties.a: the value is greater than the maximum of 5"),
    ],
)  # fmt: skip
def test_what_a_record_breaks_is_said_without_its_value(schema, properties, reason, detail):
    assert judged(schema, properties, '{"a": null, "b": 1}' if reason == Reason.MISSING_FIELD else properties)[0] == (
        reason,
        detail,
    )


a_value = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0]) | st.text(max_size=2)
an_object = st.dictionaries(st.sampled_from("abc"), st.recursive(
    a_value, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
), max_size=3)  # fmt: skip
a_type = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
a_schema = st.recursive(
    st.fixed_dictionaries({}, optional={
        "type": a_type | st.lists(a_type, min_size=1, unique=True), "enum": st.lists(a_value, min_size=1),
        "minimum": st.integers(-2, 2), "maxLength": st.integers(0, 1),
        "required": st.lists(st.sampled_from("abc"), unique=True),
    }),
    lambda inner: st.fixed_dictionaries({}, optional={
        "properties": st.dictionaries(st.sampled_from("abc"), inner), "items": inner,
        "additionalProperties": inner | st.booleans(), "not": inner, "anyOf": st.lists(inner, min_size=1, max_size=2),
    }),
    max_leaves=6,
)  # fmt: skip


@given(a_schema, st.lists(an_object, min_size=1, max_size=8))
def test_the_verdict_is_that_of_json_schema(schema, records):
    reference = jsonschema.Draft202012Validator(schema)
    verdicts = judged(schema, *map(json.dumps, records))
    assert [verdict is None for verdict in verdicts] == [reference.is_valid(record) for record in records]


def test_the_shipped_contract_names_the_vocabulary():
    assert set(settings.contract().events) == VOCABULARY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("personal: {}\nevents:\n  a:\n    properties:\n      b: {type: nmber}\n", r":5 events.a.properties.b.type"),
        ("personal:\n  email: pseudonym\n  name: hide\nevents: {}\n", r"contract.yml:3 personal.name"),
        ("personal: {}\nevents:\n  a: {$ref: 'https://example.com/schema'}\n", r"contract.yml:3 events.a"),
        ("personal: {}\nevents:\n  a: [\n", r"contract.yml:3"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_contract_is_said_with_its_line(home, tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "contract.yml").write_text(text)
    with pytest.raises(TidemarkError, match=said):
        settings.contract()


def test_a_wrong_type_quarantines_that_record_only_and_a_corrected_contract_takes_new_ones(
    write, query, tmp_path, monkeypatch
):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text("sources: {app: {}}")
    contract = "personal: {}\nevents: {lesson_completed: {properties: {score: {type: %s}}}}"
    (tmp_path / "contract.yml").write_text(contract % "number")
    lines = [event(n, properties={"score": score, "new": n}) for n, score in enumerate([1, "2", None, 4.5])]
    (load,) = ingest("app", [write("a.jsonl", lines)])
    assert (load.loaded, load.quarantined) == (2, 2)
    assert query("select position, reason, detail from raw.quarantine order by 1") == [
        (2, "wrong_type", "properties.score: is a string, not a number"),
        (3, "wrong_type", "properties.score: is null, not a number"),
    ]
    assert query("select properties ->> 'new' from raw.events order by occurred_at") == [("0",), ("3",)]
