"""Calls of the Segment specification, as Segment and RudderStack send them, singly and in batches.

https://segment.com/docs/connections/spec/ has the calls, and the e-commerce and video events that are named below.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import Batch, Reason
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.records import Fields, Refused, encode
from orchestration.ingest.dialects.translation import Dialect, Event, beside, plain, snake
from orchestration.settings import Source

# The calls that are no `track`, and the event that each tells of.
CALLS = {
    "page": "page_viewed",
    "screen": "screen_viewed",
    "identify": "user_identified",
    "group": "group_joined",
    "alias": "user_aliased",
}

# Names of tracked events, in snake case, that the vocabulary has otherwise: of the first e-commerce specification, and
# of the video specification. Every other name is only brought to snake case.
EVENTS = {
    "viewed_product": "product_viewed",
    "added_product": "product_added",
    "started_order": "checkout_started",
    "completed_order": "order_completed",
    "refunded_order": "order_refunded",
    "video_content_started": "content_started",
    "video_content_completed": "content_completed",
}

# Properties of the vocabulary that Segment has under other names: the first that is there. Theirs stays beside it.
_PRODUCT = {"product_id": ("id", "sku")}
_VIDEO = {"content_id": ("asset_id", "content_asset_id"), "category": ("genre",)}
PROPERTIES: dict[str, dict[str, tuple[str, ...]]] = {
    "product_viewed": _PRODUCT,
    "product_added": _PRODUCT,
    "page_viewed": {"title": ("name",)},
    "content_started": _VIDEO,
    "content_completed": _VIDEO,
}
ORDERS = frozenset(["checkout_started", "order_completed", "order_refunded"])  # they have a list of products

# What some SDKs send as text: it becomes the number that it says.
NUMBERS = ("price", "quantity", "total", "value", "shipping", "tax", "discount")

_is_number = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?").fullmatch
_decode_products = msgspec.json.Decoder(list[Fields]).decode
# What became a column, or says no more than the event's type; and a key that lets whoever has it send calls.
_TAKEN = frozenset(["messageId", "type", "timestamp", "receivedAt", "userId", "properties", "writeKey"])


class _Context(msgspec.Struct, rename="camel", gc=False):
    session_id: str | int | None = None  # RudderStack's SDKs write it here


class _Call(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    event: str | None = None
    message_id: str | int | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    session_id: str | int | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    received_at: str | None = None
    context: _Context | None = None
    properties: Fields | None = None


_decode_call = msgspec.json.Decoder(_Call).decode


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read Segment calls: one a line, in arrays, or in batches, whose `context` and the like their calls share."""
    return translation.read(stream, Dialect(_Call, _translate, batch="batch"))


def _translate(call: _Call, fields: Fields, batch: Fields) -> list[Event]:
    if batch:
        fields = batch | fields
        call = _decode_call(encode(fields))
    event_type = _event_type(call)
    others = {name: value for name, value in fields.items() if name not in _TAKEN}
    properties = beside(call.properties or {}, others, "segment")
    _name_as_the_vocabulary(event_type, properties)
    session_id = call.session_id or (call.context and call.context.session_id)
    return [
        Event(
            event_id=plain(call.message_id),
            event_type=event_type,
            occurred_at=call.timestamp or _corrected(call),
            received_at=call.received_at,
            user_id=plain(call.user_id) or plain(call.anonymous_id),
            session_id=plain(session_id),
            properties=properties,
        )
    ]


def _event_type(call: _Call) -> str:
    kind = (call.type or "track").lower()
    if kind != "track":
        return CALLS.get(kind) or snake(kind)
    name = snake(call.event or "")
    return EVENTS.get(name, name)


def _corrected(call: _Call) -> str | None:
    """Segment's rule for a wrong clock: what it told as the time, less what it was wrong by when it sent the call."""
    told, sent, received = call.original_timestamp, call.sent_at, call.received_at
    if not (told and sent and received):
        return told
    try:
        latency = datetime.fromisoformat(sent) - datetime.fromisoformat(told)
        return (datetime.fromisoformat(received) - latency).isoformat()
    except (ValueError, TypeError, OverflowError):
        detail = "originalTimestamp: cannot be corrected, for it, sentAt or receivedAt is not a time as the others are"
        raise Refused(Reason.INVALID_TIME, detail) from None


def _name_as_the_vocabulary(event_type: str, properties: dict[str, Any]) -> None:
    if event_type in PROPERTIES:
        _complete(properties, PROPERTIES[event_type])
    elif event_type in ORDERS:
        _complete(properties, {})
        _complete_products(properties)
    else:
        return
    currency = bytes(properties.get("currency", b""))
    if len(currency) == 5 and currency.islower():  # the specification's own examples have "usd" too
        properties["currency"] = msgspec.Raw(currency.upper())


def _complete_products(properties: dict[str, Any]) -> None:
    try:
        products = _decode_products(properties.get("products", b"[]"))
    except msgspec.ValidationError:
        return  # no list of products: it stays as it is
    if any([_complete(product, _PRODUCT) for product in products]):
        properties["products"] = msgspec.Raw(encode(products))


def _complete(properties: dict[str, Any], names: dict[str, tuple[str, ...]]) -> bool:
    """Add what the vocabulary calls otherwise, and make numbers of texts. Returns whether anything changed."""
    is_changed = False
    for name, theirs in names.items():
        value = next((properties[other] for other in theirs if other in properties), None)
        if name not in properties and value is not None:
            properties[name], is_changed = value, True
    for name in NUMBERS:
        said = bytes(properties.get(name, b""))
        if said[:1] == b'"' and _is_number(said[1:-1]):
            properties[name], is_changed = msgspec.Raw(said[1:-1]), True
    return is_changed
