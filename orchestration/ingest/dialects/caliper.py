"""Caliper 1.2 envelopes, and the events in them. https://www.imsglobal.org/spec/caliper/v1p2"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import Batch
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.learning import known_as, percent, seconds
from orchestration.ingest.dialects.records import Fields
from orchestration.ingest.dialects.translation import Dialect, Event, snake
from orchestration.settings import Source

# (type of the object, action) -> event type; `*` is any object. Every other action is only brought to snake case.
EVENTS = {
    ("*", "NavigatedTo"): "page_viewed",
    ("*", "Viewed"): "content_viewed",
    ("*", "Searched"): "content_searched",
    ("*", "Ranked"): "content_rated",
    ("MediaObject", "Started"): "content_started",
    ("AudioObject", "Started"): "content_started",
    ("VideoObject", "Started"): "content_started",
    ("MediaObject", "Ended"): "content_completed",
    ("AudioObject", "Ended"): "content_completed",
    ("VideoObject", "Ended"): "content_completed",
    ("Assessment", "Started"): "lesson_started",
    ("Assessment", "Completed"): "lesson_completed",
    ("AssignableDigitalResource", "Started"): "lesson_started",
    ("AssignableDigitalResource", "Completed"): "lesson_completed",
}
_TAKEN = frozenset(["id", "eventTime"])


class _Entity(msgspec.Struct, rename="camel", gc=False):
    id: str | None = None
    type: str | None = None
    name: str | None = None
    duration: str | None = None
    score_given: Decimal | None = None
    max_score: Decimal | None = None


class _Event(msgspec.Struct, rename="camel", gc=False):
    """What becomes columns. An entity may be given by its IRI alone."""

    id: str | None = None
    action: str | None = None
    actor: _Entity | str | None = None
    object: _Entity | str | None = None
    generated: _Entity | str | None = None
    session: _Entity | str | None = None
    event_time: str | None = None


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read Caliper events: in envelopes, whose `sensor` and `sendTime` each keeps, in arrays, or one a line."""
    return translation.read(stream, Dialect(_Event, _translate, batch="data"))


def _translate(event: _Event, fields: Fields, envelope: Fields) -> list[Event]:
    actor, done, generated, session = map(_entity, (event.actor, event.object, event.generated, event.session))
    action = event.action or ""
    event_type = EVENTS.get((done.type, action)) or EVENTS.get(("*", action)) or snake(action)
    others = {name: value for name, value in fields.items() if name not in _TAKEN}
    return [
        Event(
            event_id=event.id,
            event_type=event_type,
            occurred_at=event.event_time,
            received_at=None,
            user_id=actor.id,
            session_id=session.id,
            properties=_identified(event_type, done) | _measured(event_type, done, generated) | envelope | others,
        )
    ]


def _entity(told: _Entity | str | None) -> _Entity:
    return told if isinstance(told, _Entity) else _Entity(id=told)


def _identified(event_type: str, done: _Entity) -> dict[str, Any]:
    """What it was done to, as the vocabulary has it."""
    kind = event_type.partition("_")[0]
    if not done.id or kind not in ("lesson", "content"):
        return {}
    identified = {f"{kind}_id": known_as(done.id), "title": done.name}
    if kind == "content":
        identified["content_type"] = snake(done.type or "")
    return {name: value for name, value in identified.items() if value}


def _measured(event_type: str, done: _Entity, generated: _Entity) -> dict[str, Any]:
    """What was measured, as the vocabulary has it. What was played to its end took its whole length."""
    duration = generated.duration or (done.duration if event_type == "content_completed" else None)
    measured = {
        "score": percent(generated.score_given, None, generated.max_score),
        "duration_seconds": seconds(duration) if duration else None,
    }
    return {name: value for name, value in measured.items() if value is not None}
