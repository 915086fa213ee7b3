"""Kafka topics, read from the warehouse's own offsets. What a message says is the dialects' affair.

The cursor, the next offset of each partition, is committed with the load. Partitions are assigned here and not by the
broker: only one process reads a source at a time, so there is no group to balance and none to lose a partition to.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from orchestration.ingest.sources.arrival import Arrival, Pending, SourceFailure, in_memory, standing_at
from orchestration.ingest.sources.messages import BATCH_BYTES, BATCH_RECORDS, line
from orchestration.settings import Kafka, Source, filled

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

Offsets = dict[int, int]  # the next offset of each partition
_SECONDS = 10


def pending(connection: psycopg.Connection, name: str, source: Source) -> Iterator[Pending]:
    """The messages that the topic has now after the cursor, a batch at a time. Raises SourceFailure."""
    from confluent_kafka import TopicPartition

    topic = source.kafka
    cursor = standing_at(connection, name, topic.topic) or {}
    with _connected(name, topic) as consumer:
        offsets, ends = _places(consumer, topic, {int(part): offset for part, offset in cursor.items()})
        waiting = [part for part in ends if offsets[part] < ends[part]]
        consumer.assign([TopicPartition(topic.topic, part, offsets[part]) for part in waiting])
        while waiting:
            messages, following = _read(consumer, topic, offsets, ends)
            waiting = [part for part in ends if following[part] < ends[part]]
            yield topic.topic, partial(_arrival, source, messages, offsets, following)
            offsets = following


def reach(name: str, source: Source) -> str:
    """The topic, and how many partitions it has. Raises SourceFailure."""
    with _connected(name, source.kafka) as consumer:
        _, ends = _places(consumer, source.kafka, {})
    return f"the topic {source.kafka.topic}: {len(ends)} partitions"


@contextmanager
def _connected(name: str, topic: Kafka) -> Iterator["Consumer"]:
    """A consumer. What is wrong is said as SourceFailure."""
    import confluent_kafka

    try:
        with closing(confluent_kafka.Consumer(_configuration(topic))) as consumer:
            yield consumer
    except confluent_kafka.KafkaException as error:
        raise SourceFailure(
            f"Source {name!r} cannot be read from Kafka ({error.args[0].str()}): "
            "correct `kafka` in config/sources.yml, or start it."
        ) from error


def _configuration(topic: Kafka) -> dict:
    """What librdkafka is told. A partition's end is an event, for what a transaction aborted is seen by nobody."""
    return {key: filled(value) for key, value in topic.options.items()} | {
        "bootstrap.servers": filled(topic.servers),
        "group.id": "tidemark",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": BATCH_BYTES // 1024,
        "log_level": 0,  # what goes wrong is raised, once
    }


def _places(consumer: "Consumer", topic: Kafka, known: Offsets) -> tuple[Offsets, Offsets]:
    """Where to read on in each partition, and where it ends now; a new partition is read from its beginning."""
    from confluent_kafka import KafkaException, TopicPartition

    found = consumer.list_topics(topic.topic, timeout=_SECONDS).topics[topic.topic]
    if found.error:
        raise KafkaException(found.error)
    offsets, ends = {}, {}
    for part in sorted(found.partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic.topic, part), timeout=_SECONDS)
        offsets[part], ends[part] = known.get(part, low), high
        if not low <= offsets[part] <= high:
            what = "were deleted before they were read" if offsets[part] < low else "are not there: it was made anew"
            raise SourceFailure(
                f"Partition {part} of the topic {topic.topic} holds the offsets {low} to {high}, and those from "
                f"{offsets[part]} on {what}; delete the topic's row of raw.cursors to read what is there."
            )
    return offsets, ends


def _read(consumer: "Consumer", topic: Kafka, offsets: Offsets, ends: Offsets) -> tuple[list["Message"], Offsets]:
    """The next messages of all partitions together, and the offsets after them; no further than `ends`."""
    from confluent_kafka import KafkaError, KafkaException

    messages, following, size = [], dict(offsets), 0
    while len(messages) < BATCH_RECORDS and size < BATCH_BYTES and any(following[p] < ends[p] for p in ends):
        message = consumer.poll(_SECONDS)
        if message is None:
            raise SourceFailure(f"The topic {topic.topic} gives nothing, though it has messages: look at its brokers.")
        part = message.partition()
        if not message.error():
            messages.append(message)
            size += len(message.value() or b"")
            following[part] = message.offset() + 1
        elif message.error().code() == KafkaError._PARTITION_EOF:
            following[part] = max(following[part], message.offset())
        else:
            raise KafkaException(message.error())
    return messages, following


def _arrival(source: Source, messages: list["Message"], offsets: Offsets, following: Offsets) -> Arrival:
    topic = source.kafka.topic
    lines = [
        line(one.value(), f"{topic}:{one.partition()}:{one.offset()}", one.timestamp()[1], source.format)
        for one in messages
    ]
    root = sha256(f"{topic}:{sorted(offsets.items())}".encode()).hexdigest()
    return in_memory(topic, b"\n".join(lines), {str(part): next_ for part, next_ in following.items()}, root=root)
