"""A Kafka topic of several partitions, in librdkafka's own mock cluster: each message is an event, once."""

import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from orchestration.errors import TidemarkError
from orchestration.ingest import loader
from orchestration.ingest.sources import kafka as kafka_source
from tests.ingest.conftest import event

SOURCE = "clicks"


@pytest.fixture
def send(warehouse, tmp_path, monkeypatch):
    """Sends a record to a partition of the topic `events`, which a source reads: `send(0, record, …)`."""
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3, "log_level": 0})
    servers = ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    (tmp_path / "tenant.yml").write_text("name: Test\n")
    (tmp_path / "sources.yml").write_text(
        f"sources: {{{SOURCE}: {{kafka: {{servers: '${{KAFKA_SERVERS}}', topic: events}}, every: PT5S}}}}"
    )
    monkeypatch.setenv("TIDEMARK_CONFIG", str(tmp_path))
    monkeypatch.setenv("KAFKA_SERVERS", servers)
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})

    def send(partition: int, *records: dict | bytes | None, timestamp: int = 0) -> None:
        for record in records:
            value = json.dumps(record).encode() if isinstance(record, dict) else record
            producer.produce("events", value, partition=partition, timestamp=timestamp)
        assert producer.flush(10) == 0

    yield send
    del cluster  # and the brokers with it


def counts(loads: list[loader.Load]) -> list[tuple]:
    return [(load.received, load.loaded, load.duplicate, load.quarantined) for load in loads]


def cursor(query) -> dict:
    ((found,),) = query("select cursor from raw.cursors where source = %s", SOURCE)
    return found


def test_it_is_reached_without_reading(send, query):
    send(0, event(0))
    assert loader.reach(SOURCE) == "the topic events: 4 partitions"
    assert query("select count(*) from raw.loads") == [(0,)]


def test_messages_of_all_partitions_become_events_of_one_load(send, query):
    send(0, event(0), event(1))
    send(2, event(2), event(1))
    assert counts(loader.ingest(SOURCE)) == [(4, 3, 1, 0)]
    assert cursor(query) == {"0": 2, "1": 0, "2": 2, "3": 0}
    assert loader.ingest(SOURCE) == []
    send(2, event(3))
    assert counts(loader.ingest(SOURCE)) == [(1, 1, 0, 0)]
    assert cursor(query) == {"0": 2, "1": 0, "2": 3, "3": 0}


def test_a_record_without_an_id_is_known_by_its_topic_partition_and_offset(send, query):
    plain = {name: value for name, value in event(1).items() if name != "event_id"}
    send(1, plain, plain, timestamp=1772000000123)
    send(3, plain)
    assert counts(loader.ingest(SOURCE)) == [(3, 3, 0, 0)]
    assert query("select event_id from raw.events order by 1") == [("events:1:0",), ("events:1:1",), ("events:3:0",)]
    received = datetime(2026, 2, 25, 6, 13, 20, 123000, tzinfo=UTC)
    assert query("select distinct received_at from raw.events where event_id like 'events:1:%%'") == [(received,)]


def test_tombstones_and_what_is_no_json_are_quarantined(send, query):
    send(0, None, b"\x00\xffavro\n", b"", b'{"event_type":\n', event(1))
    assert counts(loader.ingest(SOURCE)) == [(5, 1, 0, 4)]
    assert query("select reason from raw.quarantine order by position") == [
        ("not_an_object",), ("invalid_utf8",), ("not_an_object",), ("invalid_json",)
    ]  # fmt: skip


def test_batches_are_loads_of_their_own(send, query, monkeypatch):
    monkeypatch.setattr(kafka_source, "BATCH_RECORDS", 4)
    for partition in range(4):
        send(partition, *(event(10 * partition + number) for number in range(5)))
    assert [load.received for load in loader.ingest(SOURCE)] == [4, 4, 4, 4, 4]
    assert query("select count(*), count(distinct event_id) from raw.events") == [(20, 20)]
    assert cursor(query) == {str(partition): 5 for partition in range(4)}


@pytest.mark.parametrize("crashing", ["before", "after"])
def test_a_crash_before_or_after_the_commit_loses_nothing_and_loads_nothing_twice(send, query, monkeypatch, crashing):
    plain = {name: value for name, value in event(1).items() if name != "event_id"}
    send(0, plain, b"broken")
    send(1, plain)

    class Crash(BaseException):
        pass

    close_ledger = loader.close_ledger

    def crash(connection, writer):
        close_ledger(connection, writer)
        if crashing == "after":
            connection.execute("commit")
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(loader, "close_ledger", crash)
        loader.ingest(SOURCE)
    assert counts(loader.ingest(SOURCE)) == ([(3, 2, 0, 1)] if crashing == "before" else [])
    assert query("select count(*) from raw.events") == [(2,)]
    assert query("select sum(received), sum(loaded), sum(quarantined) from raw.loads") == [(3, 2, 1)]


def test_a_partition_that_is_new_is_read_from_its_beginning(send, query):
    send(0, event(0))
    loader.ingest(SOURCE)
    query("update raw.cursors set cursor = cursor - '3' returning 1")
    send(3, event(1))
    assert counts(loader.ingest(SOURCE)) == [(1, 1, 0, 0)]


def test_offsets_that_are_gone_are_said_and_not_passed_over(send, query):
    send(0, event(0))
    loader.ingest(SOURCE)
    query("""update raw.cursors set cursor = '{"0": 7}' returning 1""")
    with pytest.raises(loader.NotAllLoaded, match="offsets 0 to 1, and those from 7 on are not there"):
        loader.ingest(SOURCE)


def test_a_password_does_not_stand_in_the_configuration(send, tmp_path):
    config = tmp_path / "sources.yml"
    config.write_text(config.read_text().replace("topic: events", "topic: events, options: {sasl.password: hunter2}"))
    with pytest.raises(TidemarkError, match="a secret does not stand in this file"):
        loader.ingest(SOURCE)


def test_brokers_that_do_not_answer_are_one_sentence(send, monkeypatch):
    monkeypatch.setattr(kafka_source, "_SECONDS", 0.5)
    monkeypatch.setenv("KAFKA_SERVERS", "127.0.0.1:1")
    with pytest.raises(loader.NotAllLoaded, match="cannot be read from Kafka"):
        loader.ingest(SOURCE)
