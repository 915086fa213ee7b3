"""Out of quarantine again: once, and as if the contract had been right from the start. And given up for good."""

import io
import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.errors import TidemarkError
from orchestration.ingest import loader, quarantine
from orchestration.ingest.contract import Reason
from orchestration.ingest.loader import ingest
from orchestration.ingest.quarantine import Selection, drop, listed, replay, show
from orchestration.warehouse import database
from orchestration.warehouse.sealing import opened, sealed
from tests.ingest.conftest import event

AT = "2026-03-01T10:00:00Z"
STRICT = "{contract: strict}"
OPEN = "{contract: open, user_id: optional, timezone: UTC}"
RAW = "raw.events, raw.identities, raw.voids, raw.loads, raw.cursors, raw.quarantine"


@pytest.fixture
def contract(home, tmp_path, monkeypatch):
    """Say what the sources are from now on: `native`, unless others are given."""
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenant.yml").write_text("name: Test\n")

    def contract(native: str, **others: str) -> None:
        said = {"native": native} | others
        lines = [f"  {name}: {definition}" for name, definition in said.items()]
        (tmp_path / "config" / "sources.yml").write_text("\n".join(["sources:", *lines]))

    return contract


def ledger(query) -> list[tuple]:
    return query(
        "select load_id, cause, received, loaded, duplicate, quarantined, suppressed from raw.loads order by load_id"
    )


def test_a_replay_loads_once_with_the_identity_and_the_clock_of_the_first_time(write, query, contract):
    contract(STRICT)
    lines = [event(1), event(2, event_id=None, event_type="lesson_eaten"), "oops", event(3, event_type="lesson_eaten")]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.loaded, load.quarantined) == (1, 3)
    contract(OPEN)
    ((done,), failures) = replay(Selection())
    assert (done.loaded, done.duplicate, done.refused, failures) == (2, 0, 1, [])
    assert ledger(query) == [(load.load_id, "arrival", 4, 1, 0, 3, 0), (done.load_id, "replay", 2, 2, 0, 0, 0)]
    stored = query("select event_id, received_at, load_id from raw.events where event_type = 'lesson_eaten' order by 1")
    assert stored == [
        (f"{load.checksum[:32]}:2", load.started_at, done.load_id),
        ("e3", load.started_at, done.load_id),
    ]
    hours = "select to_char(hour, 'HH24:MI') from raw.touched_hours where load_id = %s"
    assert query(hours, done.load_id) == [("10:00",)]
    assert query("select count(*) from raw.touched_minutes where load_id = %s", done.load_id) == [(2,)]
    assert query("select position, reason, replayed_at is null from raw.quarantine order by 1") == [
        (2, "unknown_event_type", False), (3, "invalid_json", True), (4, "unknown_event_type", False),
    ]  # fmt: skip
    (again,), _ = replay(Selection())
    assert (again.load_id, again.loaded, again.refused) == (None, 0, 1)
    assert len(ledger(query)) == 2


def test_what_is_refused_for_another_reason_now_says_so_and_stays(write, query, contract):
    contract(STRICT)
    ingest("native", [write("a.jsonl", [event(1, event_type="lesson_eaten", occurred_at="noon")])])
    contract(OPEN)
    before = query("select payload, load_id from raw.quarantine")
    with database.connect() as connection:
        connection.execute("update raw.quarantine set reason = 'unknown_event_type', detail = 'as it was'")
    (done,), _ = replay(Selection())
    assert done.refused == 1
    assert query("select reason, replayed_at from raw.quarantine") == [("invalid_time", None)]
    assert query("select detail from raw.quarantine")[0][0].startswith("occurred_at: 'noon'")
    assert query("select payload, load_id from raw.quarantine") == before


def test_the_five_minutes_are_those_of_the_first_time(write, query, contract):
    contract(STRICT)
    soon = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    path = write("a.jsonl", [event(1, occurred_at=soon)])
    ingest("native", [path])
    with database.connect() as connection:
        connection.execute("update raw.loads set started_at = started_at - interval '1 day'")
    replay(Selection())
    assert query("select reason, replayed_at from raw.quarantine") == [("time_out_of_range", None)]
    with database.connect() as connection:
        connection.execute("update raw.loads set started_at = started_at + interval '1 day 2 minutes'")
    (done,), _ = replay(Selection())
    assert done.loaded == 1


def test_an_earlier_record_takes_its_place_and_the_later_one_gives_way(write, query, contract):
    """First refused, then told again otherwise: what stands is what would have stood."""
    contract(STRICT)
    at = {"occurred_at": "2026-03-04T08:00:00Z"}
    lines = [
        event(1, event_type="lesson_eaten", properties={"n": 1}),
        event(1, properties={"n": 2}),  # the same time: would have been a duplicate
        event(2, event_type="lesson_eaten", properties={"n": 3}),
        event(2, properties={"n": 4.50}, **at),  # another time: would have been refused
    ]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.loaded, load.quarantined) == (2, 2)
    contract(OPEN)
    (done,), _ = replay(Selection())
    stored = query("select event_id, occurred_at, properties::text, load_id from raw.events order by 1")
    assert [(event_id, text) for event_id, _, text, _ in stored] == [("e1", '{"n": 1}'), ("e2", '{"n": 3}')]
    assert {load_id for *_, load_id in stored} == {done.load_id}
    assert ledger(query) == [(load.load_id, "arrival", 4, 0, 1, 3, 0), (done.load_id, "replay", 2, 2, 0, 0, 0)]
    waiting = query("select position, reason, payload from raw.quarantine where replayed_at is null")
    ((position, reason, payload),) = waiting
    assert (position, reason) == (4, "conflicting_duplicate")
    assert json.loads(opened(payload))["properties"] == {"n": 4.5}
    days = "select distinct hour::date::text from raw.touched_hours where load_id = %s order by 1"
    assert query(days, done.load_id) == [("2026-03-01",), ("2026-03-04",)]  # where it came, and where it was
    (again,), _ = replay(Selection())
    assert (again.load_id, again.refused) == (None, 1)


def test_two_replays_at_once_load_each_record_once(write, query, contract):
    contract(STRICT)
    for name in "abc":
        lines = [event(n, event_id=None, event_type="lesson_eaten") for n in range(200)]
        ingest("native", [write(f"{name}.jsonl", [*lines, event(900, event_id=name)])])
    contract(OPEN)
    with ThreadPoolExecutor(3) as pool:
        outcomes = [done for dones, _ in pool.map(replay, [Selection()] * 3) for done in dones]
    assert sorted(done.loaded for done in outcomes)[-1] == sum(done.loaded for done in outcomes) == 600
    assert query("select count(*), count(distinct event_id) from raw.events") == [(603, 603)]


def test_a_replay_is_whole_or_not_at_all(write, query, contract, monkeypatch):
    contract(STRICT)
    ingest("native", [write("a.jsonl", [event(n, event_type="lesson_eaten") for n in range(10)])])
    contract(OPEN)
    monkeypatch.setattr(quarantine, "CHUNK_RECORDS", 3)
    settled = []
    settle = quarantine._settle

    def fail_at_the_third(*arguments):
        settled.append(arguments)
        if len(settled) == 3:
            raise RuntimeError
        settle(*arguments)

    monkeypatch.setattr(quarantine, "_settle", fail_at_the_third)
    with pytest.raises(RuntimeError):
        replay(Selection())
    assert query("select (select count(*) from raw.events), count(replayed_at) from raw.quarantine") == [(0, 0)]
    monkeypatch.setattr(quarantine, "_settle", settle)
    told = []
    (done,), _ = replay(Selection(), progress=lambda _, count: told.append(count))
    assert (done.loaded, told) == (10, [3, 6, 9, 10])


def test_a_selection_narrows_by_ids_source_and_reason(write, query, contract, warehouse):
    contract(STRICT, shop=STRICT)
    ingest("native", [write("a.jsonl", [event(1, event_type="lesson_eaten"), event(2, event_type="x"), "oops"])])
    ingest("shop", [write("b.jsonl", [event(1, event_type="lesson_eaten")])])
    contract(OPEN, shop=OPEN)
    with database.connect() as connection:
        assert len(listed(connection, Selection())) == 4
        assert [row["source"] for row in listed(connection, Selection(source="shop"))] == ["shop"]
        (row,) = listed(connection, Selection(source="native", reason="invalid_json"))
        assert show(connection, row["quarantine_id"])["payload"] == b"oops"
        with pytest.raises(TidemarkError, match="no record 99"):
            show(connection, 99)
        with pytest.raises(TidemarkError, match="not a reason"):
            listed(connection, Selection(reason="bad"))
    (first,) = query("select min(quarantine_id) from raw.quarantine")
    assert [done.loaded for done in replay(Selection(ids=first))[0]] == [1]
    assert [done.source for done in replay(Selection(source="shop"))[0]] == ["shop"]
    assert query("select count(*) from raw.quarantine where replayed_at is null") == [(2,)]


def test_a_source_that_is_gone_or_speaks_otherwise_is_said_and_the_others_are_replayed(write, query, contract):
    contract(STRICT, shop=STRICT)
    for name in ("native", "shop"):
        ingest(name, [write(f"{name}.jsonl", [event(1, event_type="lesson_eaten")])])
    contract(OPEN)
    (done,), (failure,) = replay(Selection())
    assert (done.source, done.loaded) == ("native", 1)
    assert "'shop'" in failure and "no source" in failure
    with database.connect() as connection:
        connection.execute("update raw.quarantine set format = 'csv' where source = 'shop'")
    contract(OPEN, shop=OPEN)
    _, (failure,) = replay(Selection())
    assert "came as csv, and config/sources.yml says native" in failure


def test_what_is_dropped_keeps_its_row_without_its_bytes_and_is_in_the_audit(write, query, contract):
    contract(STRICT)
    (load,) = ingest("native", [write("a.jsonl", [event(1, event_type="lesson_eaten"), "oops", "oops"])])
    with database.connect() as connection:
        assert drop(connection, Selection(reason="invalid_json")) == 2
        assert drop(connection, Selection(reason="invalid_json")) == 0
        (row,) = listed(connection, Selection(reason="invalid_json"), limit=1)
        assert (row["bytes"], row["dropped_at"] is None) == (0, False)
    assert query("select action, subject, detail ->> 'reason' from ops.audit") == [
        ("quarantine dropped", "2 records", "invalid_json")
    ]
    contract(OPEN)
    (done,), _ = replay(Selection())
    assert (done.loaded, done.refused) == (1, 0)
    assert ledger(query)[0] == (load.load_id, "arrival", 3, 0, 0, 3, 0)  # what was refused stays counted
    with database.connect() as connection:
        assert drop(connection, Selection()) == 0


def test_rows_of_parquet_files_are_replayed_whoever_wrote_them_and_wait_while_they_lack_a_column(
    write, query, contract, tmp_path
):
    mapping = "mapping: {event_type: kind, occurred_at: at}"
    told = f"{{format: parquet, user_id: optional, {mapping}}}"
    contract(OPEN, shop=told.replace("format", "contract: strict, format"))
    for number, values in enumerate([[1, 2, 3], ["a", "b"]]):  # of two schemas
        rows = pl.DataFrame({"kind": "sold", "at": AT, "n": values})
        rows.write_parquet(tmp_path / f"{number}.parquet")
        ingest("shop", [tmp_path / f"{number}.parquet"])
    other = io.BytesIO()
    pl.DataFrame({"kind": "sold", "at": AT, "n": [1]}).write_parquet(other, compression="uncompressed")
    with database.connect() as connection:
        connection.execute("update raw.quarantine set payload = %s where quarantine_id = 1", [sealed(other.getvalue())])
    contract(OPEN, shop=told.replace("kind", "type"))
    assert [(done.loaded, done.refused) for done in replay(Selection())[0]] == [(0, 5)]
    assert query("select distinct reason from raw.quarantine") == [("unknown_event_type",)]
    contract(OPEN, shop=told)
    assert [(done.loaded, done.refused) for done in replay(Selection())[0]] == [(5, 0)]
    stored = query("select properties ->> 'n' from raw.events order by 1")
    assert [n for (n,) in stored] == ["1", "2", "3", "a", "b"]


# The examples of the documentation ----------------------------------------------------------------------------------

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text().split("## Quarantine")[1]
EXAMPLES = dict(re.findall(r"^\| `([a-z0-9_]+)` \| `([^`]+)`", DOCS, re.M))
REST = {"event_id": "1", "event_type": "page_viewed", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u1"}
MAPPING = "{event_type: kind, occurred_at: at, user_id: who}"
OF_SOURCE = {
    Reason.UNKNOWN_EVENT_TYPE: ("strict", STRICT, b""),
    Reason.INVALID_CSV: ("table", f"{{format: csv, mapping: {MAPPING}}}", b"kind,at,who\n"),
    Reason.WRONG_COLUMN_COUNT: ("table", f"{{format: csv, mapping: {MAPPING}}}", b"kind,at,who\n"),
    Reason.UNMATCHED_LINE: (
        "log",
        f"{{format: lines, line: '(?P<at>[^ ]+) (?P<who>u[^ ]+) (?P<kind>[a-z_]+)', mapping: {MAPPING}}}",
        b"",
    ),
}
CONTRACT = """
personal: {}
events:
  lesson_completed:
    properties: {difficulty: {enum: [easy, medium, hard]}}
    additionalProperties: false
"""


def as_bytes(example: str) -> bytes:
    """An example written out: what is repeated, repeated; the rest of an event in place of its dots."""
    example = re.sub(r"(.)× (\d+) ?", lambda found: found[1] * int(found[2]), example)
    named = re.findall(r'"(\w+)":', example)
    rest = ", ".join(f'"{name}": "{value}"' for name, value in REST.items() if name not in named)
    return example.replace("…", rest).encode().replace(rb"\xE9", b"\xe9")


def test_every_reason_but_the_last_has_an_example():
    assert set(EXAMPLES) == set(Reason) - {Reason.REFUSED_BY_DATABASE}


@pytest.mark.parametrize("reason", EXAMPLES)
def test_the_example_of_a_reason_has_that_reason(write, query, contract, tmp_path, reason):
    source, definition, head = OF_SOURCE.get(reason, ("native", "{contract: open}", b""))
    contract(**{"native": "{contract: open}"} | {source: definition})
    (tmp_path / "config" / "contract.yml").write_text(CONTRACT)
    if reason == Reason.CONFLICTING_DUPLICATE:
        ingest("native", [write("first.jsonl", [REST])])
    if reason == Reason.EXPIRED_DAY:
        with database.connect() as connection:
            connection.execute("insert into ops.expired_days (day, rows) values ('2026-02-01', 1)")
    (load,) = ingest(source, [write("example", [head + as_bytes(EXAMPLES[reason])])])
    assert (load.received, load.quarantined) == (1, 1)
    assert query("select reason from raw.quarantine") == [(reason,)]


# As if it had been right from the start ------------------------------------------------------------------------------

CLOCK = datetime(2026, 3, 1, 9, 50, tzinfo=UTC)


class Clock(datetime):
    """Ten minutes later for each load."""

    ticks = 0

    @classmethod
    def now(cls, _zone=None):
        cls.ticks += 1
        return CLOCK + cls.ticks * timedelta(minutes=10)


a_record = st.fixed_dictionaries(
    {
        # The third is refused without a timezone, and is the first with it; the last is too far ahead for some loads.
        "occurred_at": st.sampled_from(
            ["2026-03-01T10:00:00Z", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00", "noon", "2026-03-01T10:30:00Z"]
        ),
        "event_type": st.sampled_from(["lesson_completed", "lesson_eaten", "statement_voided"]),
    },
    optional={
        "event_id": st.sampled_from("ab"),
        "user_id": st.just("u"),
        "received_at": st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00"]),
    },
)
some_files = st.lists(st.lists(a_record, min_size=1, max_size=6), min_size=1, max_size=4)
some_steps = st.lists(st.sampled_from(["unknown_event_type", "missing_field", "invalid_time", None]), max_size=3)


def lines(records: list[dict]) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def as_segment(records: list[dict]) -> bytes:
    names = {"event_id": "messageId", "user_id": "userId", "occurred_at": "timestamp", "received_at": "receivedAt"}
    names |= {"event_type": "event", "properties": "properties"}
    return lines([{"type": "track"} | {names[name]: value for name, value in record.items()} for record in records])


def as_xapi(records: list[dict]) -> bytes:
    return lines(
        [
            {
                "id": record.get("event_id"),
                "actor": {"account": {"homePage": "https://x.example", "name": record.get("user_id")}},
                "verb": {"id": f"urn:tidemark:{record['event_type']}"},
                "context": {"extensions": {f"urn:tidemark:{n}": value for n, value in record["properties"].items()}},
                "timestamp": record["occurred_at"],
                "stored": record.get("received_at"),
            }
            for record in records
        ]
    )


def as_caliper(records: list[dict]) -> bytes:
    names = {"event_id": "id", "event_type": "action", "occurred_at": "eventTime", "user_id": "actor"}
    return lines([{names[name]: value for name, value in record.items() if name in names} for record in records])


def as_cloudevents(records: list[dict]) -> bytes:
    names = {"event_id": "id", "event_type": "type", "occurred_at": "time", "user_id": "userid", "properties": "data"}
    around = {"specversion": "1.0", "source": "/x"}
    return lines([around | {names[n]: value for n, value in record.items() if n in names} for record in records])


def as_openedx(records: list[dict]) -> bytes:
    return lines(
        [
            {"name": record["event_type"], "time": record["occurred_at"], "event": record["properties"]}
            | {"context": {"user_id": record.get("user_id")}}
            for record in records
        ]
    )


NAMES = ("event_id", "event_type", "occurred_at", "received_at", "user_id", "n", "statement_id")


def as_rows(records: list[dict]) -> list[dict]:
    """A column for each name, as text, empty where there is nothing."""
    flat = [record | {"n": str(record["properties"]["n"]), **record["properties"]} for record in records]
    return [{name: str(row.get(name, "")) for name in NAMES} for row in flat]


def as_csv(records: list[dict]) -> bytes:
    return "\n".join([";".join(NAMES), *(";".join(row.values()) for row in as_rows(records))]).encode()


def as_lines(records: list[dict]) -> bytes:
    return "\n".join("|".join(row.values()) for row in as_rows(records)).encode()


def as_parquet(records: list[dict]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(as_rows(records)).write_parquet(file)
    return file.getvalue()


COLUMNS = f"mapping: {{{', '.join(f'{name}: {name}' for name in NAMES[:5])}}}"
FORMS = {
    "native": (lines, ""), "segment": (as_segment, ""), "xapi": (as_xapi, ""), "caliper": (as_caliper, ""),
    "cloudevents": (as_cloudevents, ""), "openedx": (as_openedx, ""), "csv": (as_csv, f", {COLUMNS}"),
    "json": (lines, f", {COLUMNS}"), "parquet": (as_parquet, f", {COLUMNS}"),
    "lines": (as_lines, f", line: '{'[|]'.join(f'(?P<{name}>[^|]*)' for name in NAMES)}', {COLUMNS}"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@given(some_files, st.integers(0, 3), some_steps)
@settings(
    max_examples=settings.default.max_examples // 33,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_replay_gives_what_would_have_been_there(
    warehouse, query, contract, tmp_path, monkeypatch, form, files, before, steps
):
    monkeypatch.setattr(loader, "datetime", Clock)
    written, of_form = FORMS[form]
    strict, right_one = (f"{{format: {form}{of_form}, {said[1:]}" for said in (STRICT, OPEN))
    paths = []
    for number, records in enumerate(files):
        told = [
            record | {"properties": {"n": [number, n], "statement_id": "ab"[n % 2]}} for n, record in enumerate(records)
        ]
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(written(told))

    def start() -> None:
        Clock.ticks = 0
        with database.connect() as connection:
            connection.execute(f"truncate {RAW} cascade")

    def load(path: Path) -> None:
        ingest("native", [path])

    def stands() -> tuple:
        events = query(
            """select source, event_id, event_type, occurred_at, received_at, user_id, session_id, properties::text
               from raw.events order by 1, 2"""
        )
        firsts = query(
            """select identity, occurred_at, locator, position
               from raw.identities join raw.loads using (load_id) order by 1"""
        )
        fields = query(
            """select event_type, field, type, carried, first_at, last_at, first.locator, last.locator
               from raw.fields
               join raw.loads as first on first.load_id = first_load_id
               join raw.loads as last on last.load_id = last_load_id
               order by 1, 2, 3"""
        )
        return events, firsts, query("select source, event_id from ops.voided order by 1, 2"), fields

    def waiting() -> set:
        return set(
            query(
                "select locator, position, reason from raw.quarantine where replayed_at is null and dropped_at is null"
            )
        )

    start()
    contract(right_one)
    for path in paths:
        load(path)
    right, refused = stands(), waiting()

    start()
    contract(strict)
    for path in paths[:before]:
        load(path)
    contract(right_one)
    for reason in steps:
        replay(Selection(reason=reason))
    for path in paths[before:]:
        load(path)
    hours_before = by_hour(*stands())
    last = query("select coalesce(max(load_id), 0) from raw.loads")[0][0]
    replay(Selection())
    assert stands() == right

    hours_after = by_hour(*stands())
    changed = {hour for hour in hours_before | hours_after if hours_before.get(hour) != hours_after.get(hour)}
    assert changed <= {hour for (hour,) in query("select hour from raw.touched_hours where load_id > %s", last)}
    # A duplicate of what gave way left no trace that could be refused now; all else waits for the same reason.
    assert waiting() <= refused
    assert {reason for *_, reason in refused - waiting()} <= {Reason.CONFLICTING_DUPLICATE}
    ((events, loaded),) = query("select (select count(*) from raw.events), coalesce(sum(loaded), 0) from raw.loads")
    assert events == loaded
    assert all(done.load_id is None for done in replay(Selection())[0])  # a second one has nothing to do


def by_hour(events: list[tuple], _: list[tuple], voided: list[tuple], *__: list[tuple]) -> dict:
    """What counts, by hour."""
    hours = defaultdict(list)
    for row in events:
        if row[:2] not in voided or row[2] == "statement_voided":
            hours[row[3].replace(minute=0)].append(row)
    return hours
