"""CloudEvents 1.0 in the JSON format: structured ones, one a line or a document, and batches of them.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import binascii
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import VOCABULARY, Batch, Reason
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.records import Fields, Refused, decode_fields
from orchestration.ingest.dialects.translation import Dialect, Event, beside, plain, remembered, snake
from orchestration.settings import Source

_decode_identifier = msgspec.json.Decoder(str | int | None).decode
_TAKEN = frozenset(["id", "time", "type", "data", "data_base64", "userid", "sessionid"])


class _Event(msgspec.Struct, gc=False):
    """The attributes that become columns: those of the specification, and the extensions for what it does not have."""

    id: str | int | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data_base64: str | None = None
    userid: str | int | None = None
    authid: str | int | None = None
    sessionid: str | int | None = None


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read CloudEvents in structured or batched JSON. Together, `source` and `id` are an event's identity."""
    return translation.read(stream, Dialect(_Event, _translate))


def _translate(event: _Event, fields: Fields, _: Fields) -> list[Event]:
    event_type = _event_type(event.type or "")
    data = _data(event, fields)
    user_id = plain(event.userid) or plain(event.authid) or _identifier(data, "user_id") or _identifier(data, "userId")
    session_id = plain(event.sessionid) or _identifier(data, "session_id")
    others = {name: value for name, value in fields.items() if name not in _TAKEN}
    if event_type != event.type and "type" in fields:
        others["type"] = fields["type"]
    own_id = plain(event.id)
    return [
        Event(
            event_id=f"{event.source} {own_id}" if event.source and own_id else None,  # no space can be in a source
            event_type=event_type or None,
            occurred_at=event.time,
            received_at=None,
            user_id=user_id,
            session_id=session_id,
            properties=beside(data, others, "ce"),
        )
    ]


@remembered
def _event_type(told: str) -> str:
    """`com.example.lesson.completed.v1` is a `lesson_completed`; a type that ends in no word of ours stays as it is."""
    parts = told.split(".")
    if parts[-1][:1] == "v" and parts[-1][1:].isdigit():
        parts.pop()
    names = (snake("_".join(parts[-count:])) for count in (1, 2, 3))
    return next((name for name in names if name in VOCABULARY), told)


def _data(event: _Event, fields: Fields) -> dict[str, Any]:
    """The fields of data that is an object; other data is kept whole."""
    told = {name: fields[name] for name in ("data", "data_base64") if name in fields}
    if "data" in told and bytes(told["data"])[:1] == b"{":
        return decode_fields(told["data"])
    try:
        if event.data_base64 and "json" in (event.datacontenttype or "json"):
            return decode_fields(binascii.a2b_base64(event.data_base64, strict_mode=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return told  # not what it claims to be
    return told


def _identifier(data: dict[str, Any], name: str) -> str | None:
    """A column that stands in the data: it is taken out of it, as from a native event."""
    if name not in data:
        return None
    try:
        value = plain(_decode_identifier(data[name]))
    except msgspec.ValidationError:
        raise Refused(Reason.WRONG_TYPE, f"data.{name}: is not a string") from None
    del data[name]
    return value
