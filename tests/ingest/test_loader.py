"""Nothing lost, nothing twice: duplicates, conflicts, repeats, broken files, parallel loaders, killed ones."""

import gzip
import itertools
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from orchestration.errors import TidemarkError
from orchestration.ingest.contract import Reason
from orchestration.ingest.loader import NotAllLoaded, ingest
from orchestration.warehouse import database, partitions
from tests.ingest.conftest import BASE, event
from tests.ingest.victim import shrink


def test_a_load_writes_ledger_identities_hours_and_cursor(write, query, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    (tmp_path / "tenant.yml").write_text("timezone: Asia/Kolkata\nname: Test\n")
    (tmp_path / "sources.yml").write_text("sources: {native: {allowed_lateness: PT2H}}")
    path = write("a.jsonl", [event(0), event(40), event(0), event(0, event_id=None), event(0, event_id=None), "oops"])
    (load,) = ingest("native", [path])
    assert (load.received, load.loaded, load.duplicate, load.quarantined, load.suppressed) == (6, 4, 1, 1, 0)
    assert (load.locator, load.newest_at) == (str(path), BASE + timedelta(minutes=40))
    assert load.checksum == sha256(path.read_bytes()).hexdigest()
    # 10:00 UTC is 15:30 in Kolkata, whose hours begin at half past: 10:00 is in that of 09:30, 10:40 in that of 10:30.
    assert query("select to_char(hour, 'HH24:MI') from raw.touched_hours order by hour") == [("09:30",), ("10:30",)]
    same = "raw.identity_of(e.source, e.event_id) = i.identity and e.occurred_at = i.occurred_at"
    assert query(f"select count(*) from raw.identities i join raw.events e on {same}") == [(4,)]
    assert query("select event_id from raw.events where event_id not like 'e%%' order by 1") == [
        (f"{load.checksum[:32]}:4",),
        (f"{load.checksum[:32]}:5",),
    ]
    assert query("select allowed_lateness from ops.sources where source = 'native'") == [(timedelta(hours=2),)]


def test_the_first_time_of_an_event_stays_within_a_file_and_across_files(write, query):
    other = {"occurred_at": (BASE + timedelta(days=3)).isoformat()}
    (first,) = ingest("native", [write("a.jsonl", [event(1), event(1), event(1, **other), event(2)])])
    (second,) = ingest("native", [write("b.jsonl", [event(2, **other), event(2), event(3, **other), event(3)])])
    assert (first.loaded, first.duplicate, first.quarantined) == (2, 1, 1)
    assert (second.loaded, second.duplicate, second.quarantined) == (1, 1, 2)
    conflicts = query(
        "select load_id, position from raw.quarantine where reason = 'conflicting_duplicate' order by 1, 2"
    )
    assert conflicts == [(first.load_id, 3), (second.load_id, 1), (second.load_id, 4)]
    assert query("select event_id, occurred_at from raw.events order by 1") == [
        ("e1", BASE + timedelta(minutes=1)),
        ("e2", BASE + timedelta(minutes=2)),
        ("e3", BASE + timedelta(days=3)),
    ]


def test_what_stands_already_makes_no_partition_and_is_in_nobodys_way(write, query, monkeypatch):
    """The second file is written as if it were new, and is not: what was made for it goes, and comes again in need."""
    shrink(monkeypatch.setattr)
    ingest("native", [write("a.jsonl", [event(number) for number in range(8)])])
    long_ago = {"occurred_at": "2019-05-05T10:00:00Z"}
    (load,) = ingest("native", [write("b.jsonl", [event(1, **long_ago), event(2, occurred_at="2018-01-01T10:00:00Z")]
                                      + [event(number) for number in range(8)] + [event(9, **long_ago)])])  # fmt: skip
    assert (load.loaded, load.duplicate, load.quarantined) == (1, 8, 2)
    made = {name for (name,) in query("select inhrelid::regclass::text from pg_inherits")}
    days = [datetime(2019, 5, 5, tzinfo=UTC).date(), datetime(2018, 1, 1, tzinfo=UTC).date()]
    assert [f"raw.{partitions.name_of(day)}" in made for day in days] == [True, False]
    assert query("select count(*), count(distinct event_id) from raw.events") == [(9, 9)]


def test_a_load_of_duplicates_touches_no_hour(write, query):
    ingest("native", [write("a.jsonl", [event(1), event(2)])])
    (load,) = ingest("native", [write("b.jsonl", [event(2), event(1)])])
    assert (load.duplicate, load.newest_at) == (2, None)
    assert query("select count(*) from raw.touched_hours where load_id = %s", load.load_id) == [(0,)]


def test_the_same_bytes_under_another_name_are_the_same_load(write, query):
    lines = [event(1, event_id=None), event(1, event_id=None)]
    (first,) = ingest("native", [write("a.jsonl", lines)])
    again, other = ingest("native", [write("a.jsonl", lines), write("other.jsonl", lines)])
    assert not first.is_repeat and again.is_repeat and other.is_repeat
    assert again.load_id == other.load_id == first.load_id
    assert query("select count(*) from raw.loads") == query("select count(*) - 1 from raw.events") == [(1,)]


def test_two_sources_may_use_the_same_ids(write, query):
    ingest("native", [write("a.jsonl", [event(1)])])
    row = "1,a,b,6,2010-12-01 08:26:00,2.5,7,UK"
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    ingest("online-retail", [write("a.csv", [header, row])])
    assert query("select count(distinct source) from raw.events") == [(2,)]


def test_batches_of_a_file_count_like_one(write, query, content, monkeypatch):
    lines = [event(n % 60) for n in range(100)] + [event(5, occurred_at="2026-03-05T00:00:00Z"), "oops"]
    path = write("a.jsonl", lines)
    monkeypatch.setattr("orchestration.ingest.dialects.records.BLOCK_BYTES", 1000)
    seen = []
    (load,) = ingest("native", [path], progress=lambda locator, received: seen.append(received))
    assert (load.received, load.loaded, load.duplicate, load.quarantined) == (102, 60, 40, 2)
    assert seen == sorted(seen) and len(seen) > 10 and seen[-1] == 102
    assert query("select position from raw.quarantine order by 1") == [(101,), (102,)]
    assert len(content()) == 60


def test_every_order_and_split_of_the_same_files_gives_the_same_events(postgres, write, warehouse, query, content):
    chance = random.Random(3)
    numbers = [n for n in range(40) for _ in range(chance.choice([1, 1, 2]))]
    outcomes = []
    for attempt in range(5):
        chance.shuffle(numbers)
        cuts = sorted(chance.sample(range(1, len(numbers)), 3))
        parts = [numbers[a:b] for a, b in itertools.pairwise([0, *cuts, len(numbers)])]
        files = [write(f"{attempt}/{i}.jsonl", [event(n) for n in part]) for i, part in enumerate(parts)]
        loads = ingest("native", files)
        assert sum(load.loaded for load in loads) == 40
        assert sum(load.duplicate for load in loads) == len(numbers) - 40
        outcomes.append(content())
        with database.connect() as connection:
            connection.execute("truncate raw.events, raw.identities, raw.loads, raw.cursors cascade")
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_a_broken_file_stops_no_other_and_leaves_nothing(write, query, tmp_path):
    cut = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(b"".join(b'{"event_type": "a", "n": %d}\n' % n for n in range(300_000)))
    cut.write_bytes(whole[: len(whole) // 2])
    garbled = tmp_path / "garbled.jsonl.gz"
    garbled.write_bytes(b"\x1f\x8b" + bytes(100))
    good = write("good.jsonl", [event(1)])
    with pytest.raises(NotAllLoaded) as caught:
        ingest("native", [cut, garbled, good])
    assert [load.locator for load in caught.value.loads] == [str(good)]
    assert set(caught.value.failures) == {str(cut), str(garbled)}
    assert "not a whole packed file" in str(caught.value)
    assert query("select (select count(*) from raw.loads), (select count(*) from raw.quarantine)") == [(1, 0)]


def test_what_cannot_be_found_is_said_in_a_sentence(home, write, warehouse, tmp_path):
    with pytest.raises(TidemarkError, match="known ones are native"):
        ingest("nativ")
    with pytest.raises(TidemarkError, match="does not exist"):
        ingest("native", [tmp_path / "nothing.jsonl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TidemarkError, match=r"No file in .* matches"):
        ingest("native", [tmp_path / "empty"])


def test_a_directory_stands_for_its_matching_files_in_order(warehouse, write, tmp_path):
    for name in (
        "in/b.jsonl",
        "in/a.jsonl.gz",
        "in/deep/c.jsonl",
        "in/readme.txt",
        "in/.hidden.jsonl",
        "in/d.jsonl.part",
    ):
        write(name, [event(len(name), event_id=name)])
    loads = ingest("native", [tmp_path / "in"])
    assert [Path(load.locator).name for load in loads] == ["a.jsonl.gz", "b.jsonl", "c.jsonl"]


def test_what_only_the_database_refuses_is_quarantined_too(warehouse, write, query):
    with database.connect() as connection:
        connection.execute("alter table raw.events alter user_id type varchar(3)")
    lines = [event(n, user_id="u999" if n == 3 else "u9") for n in range(7)]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.received, load.loaded, load.quarantined) == (7, 6, 1)
    assert query("select position, reason from raw.quarantine") == [(4, Reason.REFUSED_BY_DATABASE)]
    assert query("select count(*) from raw.identities") == [(6,)]


def test_where_the_first_of_an_identity_is_refused_the_next_one_stands(warehouse, write, query):
    with database.connect() as connection:
        connection.execute("alter table raw.events alter user_id type varchar(3)")
    other = {"occurred_at": (BASE + timedelta(days=3)).isoformat()}
    lines = [event(1, user_id="u999"), event(1, user_id="u9", **other), event(1, user_id="u8", **other), event(1)]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.loaded, load.duplicate, load.quarantined) == (1, 1, 2)
    assert query("select user_id from raw.events") == [("u9",)]
    assert query("select position, reason from raw.quarantine order by 1") == [
        (1, Reason.REFUSED_BY_DATABASE), (4, Reason.CONFLICTING_DUPLICATE),
    ]  # fmt: skip


def test_readers_are_not_blocked_while_partitions_are_made(write, query):
    ingest("native", [write("a.jsonl", [event(1)])])
    with database.connect() as reader:
        assert reader.execute("select count(*) from raw.events").fetchone() == (1,)  # holds its lock until the end
        ingest("native", [write("b.jsonl", [event(-n * 1440) for n in range(400)])])
        assert reader.execute("select count(*) from raw.events").fetchone() == (401,)
    assert query("select count(*) from pg_inherits where inhparent = 'raw.events'::regclass") == [(400,)]


def test_now_is_what_times_are_measured_by(write, query):
    now = datetime.now(UTC)
    lines = [event(n, occurred_at=(now + timedelta(minutes=n)).isoformat()) for n in (-1, 4, 6)]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.loaded, load.quarantined) == (2, 1)
    assert query("select detail like '%%five minutes ahead%%' from raw.quarantine") == [(True,)]
