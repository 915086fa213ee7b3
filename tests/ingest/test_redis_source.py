"""A Redis stream, on a real server: whoever crashes and whatever is delivered twice, each entry is an event once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from orchestration.errors import TidemarkError
from orchestration.ingest import loader
from orchestration.ingest.sources import redis as redis_source
from orchestration.warehouse import database
from tests.ingest.conftest import event

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "clicks"


@pytest.fixture(scope="module")
def socket(tmp_path_factory):
    """The Unix socket of a real Redis."""
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    path = tmp_path_factory.mktemp("redis") / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    yield path
    server.kill()
    server.wait()


@pytest.fixture
def client(socket, warehouse, tmp_path, monkeypatch):
    """A client of an empty Redis, and a source that reads its stream `events`."""
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text(
        f"sources: {{{SOURCE}: {{redis: {{url: 'unix://${{REDIS_SOCKET}}', stream: events}}, every: PT5S}}}}"
    )
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    monkeypatch.setenv("REDIS_SOCKET", str(socket))
    with redis.Redis.from_url(f"unix://{socket}") as client:
        client.flushall()
        yield client


def add(client: redis.Redis, *records: dict | bytes, entry: str = "*") -> list[bytes]:
    return [
        client.xadd("events", {"event": json.dumps(record) if isinstance(record, dict) else record}, id=entry)
        for record in records
    ]


def pending(client: redis.Redis) -> int:
    return client.xpending("events", "tidemark")["pending"]


def cursor(query) -> str:
    ((found,),) = query("select cursor ->> 'id' from raw.cursors where source = %s", SOURCE)
    return found


def counts(loads: list[loader.Load]) -> list[tuple]:
    return [(load.received, load.loaded, load.duplicate, load.quarantined) for load in loads]


def test_it_is_reached_without_reading(client, query, monkeypatch):
    add(client, event(0), event(1))
    assert loader.reach(SOURCE) == "the stream events: 2 entries"
    assert client.xinfo_groups("events") == []
    monkeypatch.setenv("REDIS_SOCKET", "/nowhere")
    with pytest.raises(TidemarkError, match="cannot be read from Redis"):
        loader.reach(SOURCE)


def test_entries_become_events_and_are_acknowledged_after_the_commit(client, query):
    ids = add(client, *(event(number) for number in range(5)))
    assert counts(loader.ingest(SOURCE)) == [(5, 5, 0, 0)]
    assert (pending(client), cursor(query)) == (0, ids[-1].decode())
    assert loader.ingest(SOURCE) == []
    ids = add(client, event(9), event(1))
    assert counts(loader.ingest(SOURCE)) == [(2, 1, 1, 0)]
    assert cursor(query) == ids[-1].decode()


def test_a_record_without_an_id_is_known_by_its_entry_and_received_when_redis_had_it(client, query):
    plain = event(1)
    del plain["event_id"]
    add(client, plain, plain, entry="1772000000123-*")
    assert counts(loader.ingest(SOURCE)) == [(2, 2, 0, 0)]
    received = datetime(2026, 2, 25, 6, 13, 20, 123000, tzinfo=UTC)
    assert query("select event_id, received_at from raw.events order by 1") == [
        ("events:1772000000123-0", received),
        ("events:1772000000123-1", received),
    ]
    # Read once more from the beginning, in other batches: they are the same events.
    query("delete from raw.cursors returning 1")
    add(client, event(2))
    assert counts(loader.ingest(SOURCE)) == [(3, 1, 2, 0)]


def test_an_entry_of_several_fields_is_an_event_of_these(client, query):
    fields = {"event_type": "page_viewed", "occurred_at": "2026-03-01T10:00:00Z", "user_id": "u1", "plan": "free"}
    client.xadd("events", fields | {"properties": '{"path": "/",\n "n": 1.50}'})
    loader.ingest(SOURCE)
    assert query("select event_type, user_id, properties::text from raw.events") == [
        ("page_viewed", "u1", '{"n": 1.50, "path": "/", "plan": "free"}')
    ]


def test_what_is_no_event_is_quarantined_one_for_one(client, query):
    add(client, b"\x00\xffavro\n\n\x01", b"", b"  \n", b"[1]", b'{"event_type":\n', event(3, occurred_at="yesterday"))
    pretty = json.dumps(event(1), indent=2).encode()
    add(client, pretty)
    assert counts(loader.ingest(SOURCE)) == [(7, 1, 0, 6)]
    reasons = query("select position, reason from raw.quarantine order by position")
    assert reasons == [
        (1, "invalid_utf8"),
        (2, "not_an_object"),
        (3, "not_an_object"),
        (4, "not_an_object"),
        (5, "invalid_json"),
        (6, "invalid_time"),
    ]


def test_another_dialect_than_native(client, query, tmp_path):
    config = tmp_path / "sources.yml"
    config.write_text(config.read_text().replace("{redis:", "{format: segment, redis:"))
    track = {"type": "track", "event": "Page Viewed", "userId": "u1", "messageId": "m1", "properties": {},
             "timestamp": "2026-03-01T10:00:00Z"}  # fmt: skip
    add(client, b'{"type":', b'{"type":\n{', track, b"")
    assert counts(loader.ingest(SOURCE)) == [(4, 1, 0, 3)]
    assert query("select event_id from raw.events") == [("m1",)]


def test_a_crash_between_commit_and_acknowledge_changes_nothing(client, query, monkeypatch):
    add(client, *(event(number) for number in range(3)), b"broken")

    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(redis.Redis, "xack", crash)
        loader.ingest(SOURCE)
    assert (pending(client), len(query("select 1 from raw.events"))) == (4, 3)
    assert loader.ingest(SOURCE) == []
    assert pending(client) == 0
    assert query("select sum(received), sum(quarantined) from raw.loads") == [(4, 1)]


def test_a_crash_before_the_commit_has_it_delivered_again(client, query, monkeypatch):
    add(client, *(event(number) for number in range(3)))

    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(loader, "close_ledger", crash)
        loader.ingest(SOURCE)
    assert (pending(client), query("select 1 from raw.loads")) == (3, [])
    add(client, event(7))
    assert counts(loader.ingest(SOURCE)) == [(4, 4, 0, 0)]
    assert pending(client) == 0


def test_what_another_consumer_of_the_group_took_and_did_not_load_is_loaded(client, query):
    add(client, *(event(number) for number in range(4)))
    client.xgroup_create("events", "tidemark", id="0")
    client.xreadgroup("tidemark", "dead", {"events": ">"}, count=3)
    assert pending(client) == 3
    assert counts(loader.ingest(SOURCE)) == [(4, 4, 0, 0)]
    assert pending(client) == 0


def test_a_restored_database_reads_on_from_its_own_cursor(client, query):
    ids = add(client, *(event(number) for number in range(6)))
    loader.ingest(SOURCE)
    query("""update raw.cursors set cursor = jsonb_build_object('id', %s::text) returning 1""", ids[2].decode())
    query("delete from raw.events where event_id in ('e3', 'e4', 'e5') returning 1")
    query("delete from raw.identities returning 1")
    assert counts(loader.ingest(SOURCE)) == [(3, 3, 0, 0)]


def test_a_stream_made_anew_is_said_and_not_passed_over(client):
    add(client, event(1))
    loader.ingest(SOURCE)
    client.delete("events")
    add(client, event(2), entry="5-1")
    with pytest.raises(loader.NotAllLoaded, match="made anew"):
        loader.ingest(SOURCE)


def test_a_redis_that_does_not_answer_is_one_sentence_without_its_password(client, monkeypatch):
    monkeypatch.setenv("REDIS_SOCKET", "user:topsecret@/nowhere/redis.sock")
    with pytest.raises(loader.NotAllLoaded) as caught:
        loader.ingest(SOURCE)
    (sentence,) = caught.value.failures.values()
    assert "cannot be read from Redis" in sentence and "topsecret" not in sentence


def test_batches_are_loads_of_their_own_in_order(client, query, monkeypatch):
    monkeypatch.setattr(redis_source, "BATCH_RECORDS", 10)
    monkeypatch.setattr(redis_source, "_AT_ONCE", 5)
    add(client, *(event(number) for number in range(25)))
    assert [load.received for load in loader.ingest(SOURCE)] == [10, 10, 5]
    assert query("select count(*), count(distinct event_id) from raw.events") == [(25, 25)]


def test_killed_readers_lose_nothing_and_load_nothing_twice(client, warehouse, query, tmp_path):
    """A reader is killed at some moment, again and again, while entries arrive without ids of their own."""
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from orchestration.ingest import loader
        from orchestration.ingest.sources import redis
        redis.BATCH_RECORDS = redis._AT_ONCE = 20
        loader.ingest({SOURCE!r})
        print("warm", flush=True)
        while True:
            loader.ingest({SOURCE!r})
    """)
    sent = 5
    add(client, *({k: v for k, v in event(n).items() if k != "event_id"} for n in range(sent)))
    for round_number in range(3):
        reader = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=dict(os.environ))
        reader.stdout.readline()
        until = time.monotonic() + 0.3 + 0.17 * round_number
        while time.monotonic() < until:
            add(client, *({k: v for k, v in event(n).items() if k != "event_id"} for n in range(sent, sent + 5)))
            sent += 5
            time.sleep(0.005)
        reader.send_signal(signal.SIGKILL)
        reader.wait()
    loader.ingest(SOURCE)
    assert query("select count(*), count(distinct event_id) from raw.events") == [(sent, sent)]
    assert query("select sum(received), sum(loaded) from raw.loads") == [(sent, sent)]
    assert pending(client) == 0
    with database.connect() as connection:
        assert connection.execute("select count(*) from raw.loads").fetchone()[0] > 4
