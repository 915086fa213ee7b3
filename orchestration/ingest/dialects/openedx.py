"""Tracking logs of Open edX. An event of theirs becomes what its official translation into xAPI becomes.

https://docs.openedx.org/projects/event-routing-backends says which verb and which activity each event is.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from orchestration.ingest.contract import Batch
from orchestration.ingest.dialects import translation
from orchestration.ingest.dialects.learning import percent, scaled
from orchestration.ingest.dialects.records import Fields
from orchestration.ingest.dialects.translation import Dialect, Event, plain, snake
from orchestration.ingest.dialects.xapi import event_type_of
from orchestration.settings import Source

# Name of a tracked event -> (verb, type of the activity) of its xAPI statement.
STATEMENTS = {
    "load_video": ("initialized", "video"),
    "edx.video.loaded": ("initialized", "video"),
    "play_video": ("played", "video"),
    "edx.video.played": ("played", "video"),
    "pause_video": ("paused", "video"),
    "edx.video.paused": ("paused", "video"),
    "stop_video": ("terminated", "video"),
    "edx.video.stopped": ("terminated", "video"),
    "complete_video": ("completed", "video"),
    "edx.video.completed": ("completed", "video"),
    "seek_video": ("seeked", "video"),
    "edx.video.position.changed": ("seeked", "video"),
    "speed_change_video": ("interacted", "video"),
    "hide_transcript": ("interacted", "video"),
    "show_transcript": ("interacted", "video"),
    "edx.video.transcript.hidden": ("interacted", "video"),
    "edx.video.transcript.shown": ("interacted", "video"),
    "edx.video.closed_captions.hidden": ("interacted", "video"),
    "edx.video.closed_captions.shown": ("interacted", "video"),
    "video_hide_cc_menu": ("interacted", "video"),
    "video_show_cc_menu": ("interacted", "video"),
    "edx.problem.completed": ("completed", "cmi.interaction"),
    "edx.grades.problem.submitted": ("attempted", "question"),
    "edx.problem.hint.demandhint_displayed": ("asked", "supplemental-info"),
    "showanswer": ("asked", "solution"),
    "edx.course.enrollment.activated": ("registered", "course"),
    "edx.course.enrollment.mode_changed": ("registered", "course"),
    "edx.course.enrollment.deactivated": ("unregistered", "course"),
    "edx.course.grade.now_passed": ("passed", "course"),
    "edx.course.grade.passed.first_time": ("passed", "course"),
    "edx.course.grade.now_failed": ("failed", "course"),
    "edx.course.completed": ("completed", "course"),
    "edx.grades.course.grade_calculated": ("earned", "course"),
    "edx.grades.subsection.grade_calculated": ("earned", "resource"),
    "edx.completion.block_completion.changed": ("progressed", "resource"),
    "edx.ui.lms.link_clicked": ("navigated", "link"),
    "edx.ui.lms.outline.selected": ("navigated", "link"),
    "edx.ui.lms.sequence.next_selected": ("navigated", "resource"),
    "edx.ui.lms.sequence.previous_selected": ("navigated", "resource"),
    "edx.ui.lms.sequence.tab_selected": ("navigated", "resource"),
    **{
        f"edx.forum.{what}.{done}": (verb, "discussion")
        for what in ("thread", "response", "comment")
        for done, verb in [
            *(("created", "posted"), ("edited", "edited"), ("deleted", "deleted"), ("viewed", "viewed")),
            *(("voted", "voted"), ("reported", "reported"), ("unreported", "unreported")),
        ]
    },
    **{
        f"edx.special_exam.{kind}.attempt.{done}": (verb, f"{kind}-assessment")
        for kind in ("timed", "practice", "proctored")
        for done, verb in (("created", "initialized"), ("submitted", "terminated"))
    },
}
_CHECKED = {True: ("attempted", "cmi.interaction"), False: ("evaluated", "cmi.interaction")}  # in the browser, or not
SCORED = frozenset(["attempted", "evaluated", "earned"])  # the statements that have a result with a score
_TAKEN = frozenset(["time", "timestamp"])
_PREFIX = b"[tracking]"
_NULL = msgspec.Raw(b"null")


class _Context(msgspec.Struct, gc=False):
    user_id: str | int | None = None
    session: str | None = None
    course_id: str | None = None
    event_source: str | None = None


class _Event(msgspec.Struct, gc=False):
    name: str | None = None
    event_type: str | None = None
    event_source: str | None = None
    context: _Context | None = None
    session: str | None = None
    time: str | None = None
    timestamp: str | None = None


class _Data(msgspec.Struct, gc=False):
    """What the data of an event say, where they are an object."""

    user_id: str | int | None = None
    id: msgspec.Raw = _NULL
    problem_id: msgspec.Raw = _NULL
    duration: msgspec.Raw = _NULL
    percent_grade: Decimal | None = None
    weighted_graded_earned: Decimal | None = None
    weighted_graded_possible: Decimal | None = None
    weighted_earned: Decimal | None = None
    weighted_possible: Decimal | None = None
    grade: Decimal | None = None
    max_grade: Decimal | None = None
    submission: Fields | None = None


_decode_data = msgspec.json.Decoder(_Data).decode


def read(stream: BinaryIO, source: Source) -> Iterator[Batch]:
    """Read tracking logs: events as JSON, one a line, with or without what the logger writes before them."""
    return translation.read(stream, Dialect(_Event, _translate, strip=_without_prefix))


def _without_prefix(line: bytes) -> bytes:
    return line[line.find(b"{") :] if _PREFIX in line[:200] and not line.startswith(b"{") else line


def _translate(event: _Event, fields: Fields, _: Fields) -> list[Event]:
    context, data = event.context or _Context(), _data(fields)
    name = event.name or event.event_type or ""
    told = Event(
        event_id=None,
        event_type=_event_type(name, event.event_source or context.event_source),
        occurred_at=event.timestamp or event.time,
        received_at=None,
        user_id=plain(context.user_id) or plain(data.user_id),
        session_id=context.session or event.session,
        properties={},
    )
    others = {name: value for name, value in fields.items() if name not in _TAKEN}
    events = [
        told._replace(properties=_score(told.event_type, data) | _content(told.event_type, context, data) | others)
    ]
    questions = data.submission or {}
    if told.event_type == "evaluated" and len(questions) > 1:
        # as in xAPI, the problem is an event, and each of its questions is one too
        around = {"name": name, "context": fields.get("context"), "problem_id": data.problem_id}
        events += [
            told._replace(properties=around | {"question_id": question, "submission": submitted})
            for question, submitted in questions.items()
        ]
    return events


def _data(fields: Fields) -> _Data:
    """The data of an event. The browser's is a text that may be JSON, or a form, or a list: that says nothing to us."""
    raw = bytes(fields.get("data") or fields.get("event") or b"null")
    try:
        if raw[:1] == b'"':
            raw = msgspec.json.decode(raw, type=str).encode()
        return _decode_data(raw)
    except (msgspec.MsgspecError, RecursionError):
        return _Data()


def _event_type(name: str, event_source: str | None) -> str | None:
    if name == "problem_check":
        return event_type_of(*_CHECKED[event_source == "browser"])
    if name.startswith("/"):  # the server notes every request of a page by its path
        return "page_requested"
    return event_type_of(*STATEMENTS[name]) if name in STATEMENTS else snake(name)


def _score(event_type: str | None, data: _Data) -> dict[str, Any]:
    """What was earned of what could be, as 0 to 100; of nothing, it is 0, as in xAPI."""
    if event_type not in SCORED:
        return {}
    if data.percent_grade is not None:
        return {"score": scaled(data.percent_grade)}
    for earned, possible in (
        (data.weighted_graded_earned, data.weighted_graded_possible),
        (data.weighted_earned, data.weighted_possible),
        (data.grade, data.max_grade),
    ):
        if earned is not None and possible is not None:
            return {"score": percent(earned, None, possible) or 0}
    return {}


def _content(event_type: str | None, context: _Context, data: _Data) -> dict[str, Any]:
    """A video as the vocabulary has it, named by its usage key."""
    video = bytes(data.id)
    if event_type not in ("content_started", "content_completed") or video[:1] != b'"' or not context.course_id:
        return {}
    course = context.course_id.replace("course-v1:", "block-v1:", 1)
    block = f"{course}+type@video+block@{msgspec.json.decode(video, type=str)}"
    has_duration = event_type == "content_completed" and bytes(data.duration) != b"null"
    return {"content_id": block, "content_type": "video"} | (
        {"duration_seconds": data.duration} if has_duration else {}
    )
