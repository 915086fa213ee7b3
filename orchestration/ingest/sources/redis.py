"""Redis streams: a consumer group whose place is the warehouse's cursor. What an entry says is the dialects' affair.

The cursor, the id of the last entry loaded, is committed with the load; entries are acknowledged after it. Only one
process reads a source at a time, so a group that stands elsewhere than the cursor was left there by a crash, or by a
restored database: it is put back, and Redis delivers everything after the cursor again.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import psycopg

from orchestration.ingest.sources.arrival import Arrival, Pending, SourceFailure, in_memory, standing_at
from orchestration.ingest.sources.messages import BATCH_BYTES, BATCH_RECORDS, line
from orchestration.settings import Redis, Source, filled

if TYPE_CHECKING:
    import redis

Entry = tuple[bytes, dict[bytes, bytes] | None]  # its id, and its fields; none when it was deleted meanwhile
CONSUMER = "tidemark"
_AT_ONCE = 1_000
_SECONDS = 10


def pending(connection: psycopg.Connection, name: str, source: Source) -> Iterator[Pending]:
    """The entries that the stream has now after the cursor, a batch at a time. Raises SourceFailure."""
    stream = source.redis
    cursor = standing_at(connection, name, stream.stream)
    after = cursor["id"].encode() if cursor else b"0-0"
    with _connected(name, stream) as client:
        last = _take_up(client, stream, after)
        while _order(after) < _order(last):
            entries = _read(client, stream)
            if not entries:
                break
            after = entries[-1][0]
            yield stream.stream, partial(_arrival, client, source, entries)


def reach(name: str, source: Source) -> str:
    """The stream, and how many entries it has. Raises SourceFailure."""
    with _connected(name, source.redis) as client:
        return f"the stream {source.redis.stream}: {client.xlen(source.redis.stream)} entries"


@contextmanager
def _connected(name: str, stream: Redis) -> Iterator["redis.Redis"]:
    """A client. What is wrong is said as SourceFailure."""
    import redis

    try:
        client = redis.Redis.from_url(filled(stream.url), socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        with closing(client):
            yield client
    except (redis.RedisError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceFailure(
            f"Source {name!r} cannot be read from Redis ({reason}): correct `redis` in config/sources.yml, or start it."
        ) from error


def _take_up(client: "redis.Redis", stream: Redis, after: bytes) -> bytes:
    """Bring the group to the cursor; return the id of the stream's last entry.

    What was delivered up to the cursor, to whichever consumer, is acknowledged; what came after it is delivered again.
    """
    import redis

    try:
        client.xgroup_create(stream.stream, stream.group, id=after, mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    last = client.xinfo_stream(stream.stream)["last-generated-id"]
    if _order(last) < _order(after):
        raise SourceFailure(
            f"The stream {stream.stream} ends at {last.decode()}, before the entry {after.decode()} that was loaded "
            "last: it was made anew; delete its row of raw.cursors to read it from its beginning."
        )
    group = next(group for group in client.xinfo_groups(stream.stream) if group["name"] == stream.group.encode())
    if group["last-delivered-id"] != after:
        client.xgroup_setid(stream.stream, stream.group, after)
    if group["pending"]:
        _acknowledge_up_to(client, stream, after)
    return last


def _acknowledge_up_to(client: "redis.Redis", stream: Redis, after: bytes) -> None:
    """Acknowledge what is loaded, and was left pending by a consumer that is gone."""
    while pending := client.xpending_range(stream.stream, stream.group, min="-", max=after, count=_AT_ONCE):
        client.xack(stream.stream, stream.group, *(entry["message_id"] for entry in pending))


def _read(client: "redis.Redis", stream: Redis) -> list[Entry]:
    entries: list[Entry] = []
    size = 0
    while len(entries) < BATCH_RECORDS and size < BATCH_BYTES:
        found = client.xreadgroup(stream.group, CONSUMER, {stream.stream: ">"}, count=_AT_ONCE)
        if not found:
            break
        ((_, some),) = found.items() if isinstance(found, dict) else found
        entries += some
        size += sum(len(value) for _, fields in some for value in (fields or {}).values())
    return entries


def _arrival(client: "redis.Redis", source: Source, entries: list[Entry]) -> Arrival:
    stream = source.redis
    ids = [entry for entry, _ in entries]
    lines = [
        line(_record(fields), f"{stream.stream}:{entry.decode()}", _order(entry)[0], source.format)
        for entry, fields in entries
    ]
    return in_memory(
        stream.stream,
        b"\n".join(lines),
        {"id": ids[-1].decode()},
        root=sha256(f"{stream.stream}:{ids[0].decode()}".encode()).hexdigest(),
        acknowledge=partial(client.xack, stream.stream, stream.group, *ids),
    )


def _record(fields: dict[bytes, bytes] | None) -> bytes | None:
    """The record of an entry: the value of its only field, or an object of its several fields."""
    if not fields:
        return None
    if len(fields) == 1:
        return next(iter(fields.values()))
    return msgspec.json.encode({_text(name): _value(_text(name), value) for name, value in fields.items()})


def _value(name: str, value: bytes) -> str | msgspec.Raw:
    if name == "properties":
        try:
            return msgspec.Raw(msgspec.json.format(value, indent=-1))
        except (msgspec.MsgspecError, RecursionError):
            pass  # the dialect says what is wrong with it
    return _text(value)


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _order(entry: bytes) -> tuple[int, int]:
    """Ids in their order: milliseconds, and a number within these."""
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)
