"""Messages of a stream become lines, one each, that say who they are. Which stream they come from is not here."""

from datetime import UTC, datetime, timedelta

import msgspec

BATCH_RECORDS = 10_000
BATCH_BYTES = 16 * 1024 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NULL = b"null"


def line(message: bytes | None, identity: str, received_ms: int, form: str) -> bytes:
    """A message as one line that the reader of the format `form` takes for one record.

    A native event without an id, or without a time at which it was received, gets those of its message; so a message
    that is delivered twice is the same event, also from quarantine. One without content, as a tombstone is, becomes
    `null`, which no dialect takes for an event. One that is no JSON stays as it is, but for its line breaks; in other
    dialects than native it becomes a JSON string of itself, lest their readers see a document of several lines.
    """
    if message is None or not message.strip():
        return _NULL
    try:
        if form == "native":
            return _native(message, identity, received_ms)
        return msgspec.json.format(message, indent=-1)
    except (msgspec.MsgspecError, RecursionError):
        if form == "native":
            return message.replace(b"\n", b"\r")
        return msgspec.json.encode(message.decode(errors="backslashreplace"))


def _native(message: bytes, identity: str, received_ms: int) -> bytes:
    fields = _decode_fields(message)
    own = {}
    if fields.get("event_id", _NULL) == _NULL:
        own["event_id"] = identity
    if fields.get("received_at", _NULL) == _NULL:
        own["received_at"] = (_EPOCH + timedelta(milliseconds=received_ms)).isoformat(timespec="milliseconds")
    return msgspec.json.format(msgspec.json.encode(fields | own), indent=-1) if own else _one_line(message)


def _one_line(message: bytes) -> bytes:
    return msgspec.json.format(message, indent=-1) if b"\n" in message else message
