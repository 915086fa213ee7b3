"""xAPI 1.0.3 statements. https://github.com/adlnet/xAPI-Spec/blob/master/xAPI-Data.md"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import Batch
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.learning import is_number, known_as, last_part, percent, scaled, seconds
from orchestration.ingest.dialects.records import Fields
from orchestration.ingest.dialects.translation import Dialect, Event, plain
from orchestration.settings import Source

# Verbs that mean the same, by the last part of their IRI.
VERBS = {
    "initialized": "started",
    "attempted": "started",
    "start": "started",
    "complete": "completed",
    "finished": "completed",
    "experienced": "viewed",
    "watched": "viewed",
    "read": "viewed",
    "opened": "viewed",
    "search": "searched",
}

# Kinds of activities, by the last part of their type's IRI.
KINDS = {
    **dict.fromkeys(["lesson", "module", "assessment", "quiz", "exercise", "simulation"], "lesson"),
    **dict.fromkeys(["video", "audio", "media", "article", "book", "e_book", "document", "file"], "content"),
    **dict.fromkeys(["page", "webpage", "link"], "page"),
}

# (verb, kind of the object) -> event type; `*` is any object. Every other event has the name of its verb.
EVENTS = {
    ("started", "lesson"): "lesson_started",
    ("completed", "lesson"): "lesson_completed",
    ("started", "content"): "content_started",
    ("completed", "content"): "content_completed",
    ("viewed", "content"): "content_viewed",
    ("rated", "content"): "content_rated",
    ("searched", "*"): "content_searched",
    ("viewed", "page"): "page_viewed",
    ("navigated", "*"): "page_viewed",
    ("voided", "*"): "statement_voided",
}

# Extensions that are properties, by the last part of their IRI. Any property can be told as `urn:tidemark:<name>`.
NAMESPACE = "urn:tidemark:"
EXTENSIONS = frozenset(["skill", "difficulty", "origin", "category", "country", "query", "results_count"])
SESSIONS = frozenset(["session_id", "sessionid"])

_TAKEN = frozenset(["id", "timestamp", "stored"])
_decode_identifier = msgspec.json.Decoder(str | int | None).decode


class _Account(msgspec.Struct, gc=False):
    name: str | int | None = None


class Actor(msgspec.Struct, gc=False):
    """Who did it."""

    account: _Account | None = None
    mbox: str | None = None
    mbox_sha1sum: str | None = None
    openid: str | None = None

    @property
    def user_id(self) -> str | None:
        """The name of the account, the address, its SHA-1, or the OpenID."""
        if self.account and (name := plain(self.account.name)):
            return name
        return self.mbox.removeprefix("mailto:") if self.mbox else self.mbox_sha1sum or self.openid


class _Verb(msgspec.Struct, gc=False):
    id: str = ""


class _Activity(msgspec.Struct, gc=False):
    type: str | None = None
    name: dict[str, str] | None = None
    extensions: Fields | None = None


class _Object(msgspec.Struct, gc=False, rename={"kind": "objectType"}):
    id: str | None = None
    kind: str | None = None
    definition: _Activity | None = None


class _Score(msgspec.Struct, gc=False):
    scaled: Decimal | None = None
    raw: Decimal | None = None
    min: Decimal | None = None
    max: Decimal | None = None


class _Result(msgspec.Struct, gc=False):
    score: _Score | None = None
    duration: str | None = None
    response: str | None = None
    extensions: Fields | None = None


class _Context(msgspec.Struct, gc=False):
    extensions: Fields | None = None


class _Statement(msgspec.Struct, gc=False):
    id: str | None = None
    actor: Actor | None = None
    verb: _Verb | None = None
    object: _Object | None = None
    result: _Result | None = None
    context: _Context | None = None
    timestamp: str | None = None
    stored: str | None = None


_NOTHING = _Statement(
    actor=Actor(), verb=_Verb(), object=_Object(definition=_Activity()), result=_Result(), context=_Context()
)


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read statements: one a line, in arrays, or in the results that a learning record store answers with."""
    return translation.read(stream, Dialect(_Statement, _translate, batch="statements"))


def _translate(statement: _Statement, fields: Fields, _: Fields) -> list[Event]:
    actor, verb = statement.actor or _NOTHING.actor, statement.verb or _NOTHING.verb
    done, result = statement.object or _NOTHING.object, statement.result or _NOTHING.result
    activity = done.definition or _NOTHING.object.definition
    context = statement.context or _NOTHING.context
    event_type = event_type_of(verb.id, activity.type or "")
    told, session_id = _extensions(result.extensions, context.extensions, activity.extensions)
    properties = _identified(event_type, done, activity) | _measured(event_type, result) | told
    for name, value in fields.items():
        if name not in _TAKEN:
            properties[name] = value
    return [
        Event(
            event_id=statement.id,
            event_type=event_type,
            # a store that is not told the time of a statement gives it the one at which it stored it
            occurred_at=statement.timestamp or statement.stored,
            received_at=statement.stored,
            user_id=actor.user_id,
            session_id=session_id,
            properties=properties,
        )
    ]


def event_type_of(verb: str, activity: str) -> str | None:
    """The event that a verb and a type of activity tell of, both given by their IRI or its last part."""
    name, kind = last_part(verb), KINDS.get(last_part(activity), "")
    action = VERBS.get(name, name)
    return EVENTS.get((action, kind)) or EVENTS.get((action, "*")) or name or None


def _measured(event_type: str | None, result: _Result) -> dict[str, Any]:
    """What the result measured, as the vocabulary has it."""
    measured: dict[str, Any] = {}
    if result.duration and (duration := seconds(result.duration)) is not None:
        measured["duration_seconds"] = duration
    score = result.score
    if score is not None and event_type == "content_rated":
        measured["rating"] = score.raw if is_number(score.raw) else None
    elif score is not None:
        points = percent(score.raw, score.min, score.max) if score.scaled is None else scaled(score.scaled)
        if points is not None:
            measured["score"] = points
    if event_type == "content_searched":
        measured["query"] = result.response
    return measured


def _identified(event_type: str | None, done: _Object, activity: _Activity) -> dict[str, Any]:
    """What it was done to, as the vocabulary has it."""
    kind = (event_type or "").partition("_")[0]
    if event_type == "statement_voided":
        return {"statement_id": done.id} if done.kind == "StatementRef" else {}
    if not done.id or kind not in ("lesson", "content"):
        return {}
    identified = {f"{kind}_id": known_as(done.id)}
    if activity.name:
        identified["title"] = next(iter(activity.name.values()))
    if activity.type and kind == "content":
        identified["content_type"] = last_part(activity.type)
    return identified


def _extensions(*places: Fields | None) -> tuple[dict[str, Any], str | None]:
    """The properties that are told in extensions, and the session; of two of one name, the first counts."""
    found: dict[str, Any] = {}
    session_id = None
    for extensions in places:
        for iri, value in (extensions or {}).items():
            is_ours = iri.startswith(NAMESPACE)
            name = iri.removeprefix(NAMESPACE) if is_ours else last_part(iri)
            if name in SESSIONS:
                session_id = session_id or plain(_decode_identifier(value))
            elif is_ours or name in EXTENSIONS:
                found.setdefault(name, value)
    return found, session_id
