"""Nothing lost, nothing twice: duplicates, conflicts, repeats, broken files, parallel loaders, killed ones."""

import gzip
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.errors import TidemarkError
from orchestration.ingest import quarantine
from orchestration.ingest.contract import Reason
from orchestration.ingest.loader import FilesNotLoaded, ingest
from orchestration.warehouse import database
from tests.ingest.conftest import BASE, event

ROOT = Path(__file__).resolve().parents[2]


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
    monkeypatch.setattr("orchestration.ingest.dialects.BLOCK_BYTES", 1000)
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
    with pytest.raises(FilesNotLoaded) as caught:
        ingest("native", [cut, garbled, good])
    assert [load.locator for load in caught.value.loads] == [str(good)]
    assert set(caught.value.failures) == {str(cut), str(garbled)}
    assert "not a whole gzip file" in str(caught.value)
    assert query("select (select count(*) from raw.loads), (select count(*) from raw.quarantine)") == [(1, 0)]


def test_what_cannot_be_found_is_said_in_a_sentence(home, write, warehouse, tmp_path):
    with pytest.raises(TidemarkError, match="known ones are native"):
        ingest("nativ")
    with pytest.raises(TidemarkError, match="does not exist"):
        ingest("native", [tmp_path / "nothing.jsonl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TidemarkError, match=r"No file in .* matches"):
        ingest("native", [tmp_path / "empty"])


def test_a_directory_stands_for_its_matching_files_in_order(write, tmp_path):
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


def test_readers_are_not_blocked_while_partitions_are_made(write, query):
    ingest("native", [write("a.jsonl", [event(1)])])
    with database.connect() as reader:
        assert reader.execute("select count(*) from raw.events").fetchone() == (1,)  # holds its lock until the end
        ingest("native", [write("b.jsonl", [event(-n * 1440) for n in range(400)])])
        assert reader.execute("select count(*) from raw.events").fetchone() == (401,)
    assert query("select count(*) from pg_inherits where inhparent = 'raw.events'::regclass") == [(400,)]


def test_quarantine_is_listed_and_shown(write, warehouse):
    ingest("native", [write("a.jsonl", [b"\xff", "oops"])])
    with database.connect() as connection:
        assert [row["reason"] for row in quarantine.listed(connection)] == ["invalid_json", "invalid_utf8"]
        (row,) = quarantine.listed(connection, reason="invalid_utf8")
        assert quarantine.show(connection, row["quarantine_id"])["payload"] == b"\xff"
        with pytest.raises(TidemarkError, match="no record 99"):
            quarantine.show(connection, 99)
        with pytest.raises(TidemarkError, match="not a reason"):
            quarantine.listed(connection, reason="bad")


# Anything at all -------------------------------------------------------------------------------------------------

a_time = st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00", "1970-01-01T00:00:00Z", "", "x", None, 5])
a_value = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
an_object = st.fixed_dictionaries(
    {"event_type": st.text(max_size=5), "occurred_at": a_time, "user_id": st.text(max_size=3) | st.just("u")},
    optional={"event_id": st.sampled_from(["a", "b", "c"]), "properties": a_value, "x": a_value},
)


def as_line(found: object) -> bytes:
    import json

    return json.dumps(found).encode()


a_line = st.binary(max_size=30) | an_object.map(as_line) | a_value.map(as_line)


@given(st.lists(a_line, max_size=25), st.booleans())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_accounted_for_whatever_it_is(warehouse, tmp_path, lines, packed):
    content = b"\n".join([b"", *(line.replace(b"\n", b" ") for line in lines)])  # never begins like gzip
    path = tmp_path / "fuzz.jsonl"
    path.write_bytes(gzip.compress(content) if packed else content)
    (load,) = ingest("native", [path])
    expected = sum(bool(line.strip()) for line in content.split(b"\n"))
    assert load.received == expected
    with database.connect() as connection:
        stored = connection.execute(
            """select (select count(*) from raw.events where load_id = %(id)s),
                      (select count(*) from raw.quarantine where load_id = %(id)s)""",
            {"id": load.load_id},
        ).fetchone()
    if not load.is_repeat:
        assert stored == (load.loaded, load.quarantined)


# Side by side ----------------------------------------------------------------------------------------------------


def test_two_loaders_on_the_same_files_load_each_event_once_in_commit_order(write, query, warehouse):
    files = [write(f"{n}.jsonl", [event(m) for m in range(n * 20, n * 20 + 30)]) for n in range(12)]
    done = threading.Event()
    missed = []

    def watch() -> None:
        """A reader that has seen load n must have seen all before it: nothing may appear below what it saw."""
        seen: set[int] = set()
        with psycopg.connect(warehouse, autocommit=True) as connection:
            while not done.is_set():
                now = {row[0] for row in connection.execute("select load_id from raw.loads")}
                missed.extend(load_id for load_id in now - seen if seen and load_id < max(seen))
                seen = now

    reader = threading.Thread(target=watch)
    reader.start()
    with ThreadPoolExecutor(3) as pool:
        orders = [files, files[::-1], files[5:] + files[:5]]
        outcomes = list(pool.map(lambda order: ingest("native", order), orders))
    done.set()
    reader.join()
    assert not missed
    assert [len(loads) for loads in outcomes] == [12, 12, 12]
    assert query("select count(*), sum(received), sum(loaded) from raw.loads") == [(12, 360, 250)]
    assert query("select count(*) from raw.events") == query("select count(*) from raw.identities") == [(250,)]
    ordered = query("select committed_at from raw.loads order by load_id")
    assert ordered == sorted(ordered)


# Killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from orchestration.ingest import dialects, loader, partitions, writer
from orchestration.ingest.sources import files

dialects.BLOCK_BYTES = 4000
where, call = sys.argv[1], int(sys.argv[2])
module, _, name = where.rpartition(".")
owner = {"loader": loader, "writer": writer.Writer, "partitions": partitions, "files": files}[module]
true = getattr(owner, name)
calls = 0

def killed(*arguments, **options):
    global calls
    calls += 1
    if calls == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return true(*arguments, **options)

setattr(owner, name, killed)
loader.ingest("native", [Path(path) for path in sys.argv[3:]])
"""

POINTS = [
    ("loader._sync_source", 1), ("files.examined", 2), ("loader._earlier", 1), ("partitions.ensure", 2),
    ("writer._known", 1), ("writer._store", 3), ("writer._copy", 2), ("writer._touch", 2),
    ("writer._quarantine", 1), ("loader._close_ledger", 2), ("loader._move_cursor", 1), ("loader.load", 2),
]  # fmt: skip


def test_a_killed_load_leaves_nothing_and_loads_whole_the_next_time(write, query, content, warehouse):
    lines = [event(n * 50) for n in range(100)] + ["oops"] * 3 + [event(n * 50) for n in range(10)]
    files = [write("a.jsonl", lines), write("b.jsonl", [event(n * 50 + 7, event_id=f"b{n}") for n in range(100)])]
    counts = "select sum(received), sum(loaded), sum(duplicate), sum(quarantined), count(*) from raw.loads"
    hours = "select count(distinct hour) from raw.touched_hours"
    ingest("native", files)
    clean = content(), query(counts), query(hours)
    for (where, call), seed in zip(POINTS, itertools.count()):
        with database.connect() as connection:
            connection.execute("truncate raw.events, raw.identities, raw.loads, raw.cursors cascade")
        command = [sys.executable, "-c", KILLED, where, str(call), *map(str, files)]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, env=os.environ)
        assert process.returncode == -signal.SIGKILL, (where, process.stderr.decode())
        ((events, identities, in_ledger),) = query(
            """select (select count(*) from raw.events), (select count(*) from raw.identities), coalesce(sum(loaded), 0)
               from raw.loads"""
        )
        assert events == identities == in_ledger and in_ledger in (0, 100), where
        ingest("native", files)
        assert (content(), query(counts), query(hours)) == clean, (where, seed)


def test_now_is_what_times_are_measured_by(write, query):
    now = datetime.now(UTC)
    lines = [event(n, occurred_at=(now + timedelta(minutes=n)).isoformat()) for n in (-1, 4, 6)]
    (load,) = ingest("native", [write("a.jsonl", lines)])
    assert (load.loaded, load.quarantined) == (2, 1)
    assert query("select detail like '%%five minutes ahead%%' from raw.quarantine") == [(True,)]
