"""Lessons: levels of skill, progress with practice, and learners who struggle."""

import numpy as np

from orchestration.simulate.period import SECOND
from orchestration.simulate.sessions import Sessions
from orchestration.simulate.table import Numbered, Table, Text, running, spread
from orchestration.simulate.world import SKILLS, World

_DIFFICULTIES = ["easy", "medium", "hard"]
_ORIGINS = ["web", "mobile"]
_LESSONS_PER_SKILL = 40
_PASS_MARK = 60


def lessons(rng: np.random.Generator, world: World, sessions: Sessions, visits: np.ndarray) -> list[Table]:
    """In these visits: a lesson or a few, most of them completed."""
    people = world.people
    visit, _ = spread(1 + rng.poisson(0.5, len(visits)).clip(max=3))
    session = visits[visit]
    user = sessions.user[session]
    count = len(session)
    skill = _practised(rng, user)
    seconds = rng.lognormal(5.9, 0.4, count).clip(60, 1500).astype(np.int64)
    is_completed = rng.random(count) < 0.92

    pause = rng.integers(3 * SECOND, 30 * SECOND, count)
    busy = pause + np.where(is_completed, seconds * SECOND, 90 * SECOND)
    until = sessions.clock[session] + running(busy, visit)
    started_at = until - busy + pause
    sessions.clock[visits] = until[np.flatnonzero(np.diff(visit, append=-1))] + SECOND

    practice = _practice(user, skill, started_at)
    progress = 14 * (1 - np.exp(-practice / 10))  # points gained, levelling off
    difficulty = rng.integers(0, 2, count) + (progress > 7)
    score = people.ability[user] + progress - 3 * (difficulty - 1) + rng.normal(0, 6, count)
    score -= 12 * (1 - people.interest(user, started_at))
    score = np.where(people.is_struggling[user], score.clip(15, _PASS_MARK - 1), score.clip(15, 100))
    number = skill * _LESSONS_PER_SKILL + practice % _LESSONS_PER_SKILL

    def table(event_type: str, times: np.ndarray, rows: np.ndarray, **more) -> Table:
        properties = {
            "lesson_id": Numbered("lesson-", number[rows] + 1, 4),
            "skill": Text(skill[rows], SKILLS),
            "difficulty": Text(difficulty[rows], _DIFFICULTIES),
        }
        return Table(event_type, times[rows], user[rows], session[rows], properties | more)

    done = np.flatnonzero(is_completed)
    return [
        table("lesson_started", started_at, np.arange(count)),
        table(
            "lesson_completed",
            until,
            done,
            score=np.rint(score[done]).astype(np.int64),
            duration_seconds=seconds[done],
            origin=Text(people.is_mobile[user[done]].astype(np.int64), _ORIGINS),
        ),
    ]


def struggling(completed: Table) -> np.ndarray:
    """Learners of whose last five completed lessons there are at least three, and all below the pass mark."""
    order = np.lexsort((completed.time, completed.user))
    user, score = completed.user[order], completed.properties["score"][order]
    learners, counts = np.unique(user, return_counts=True)
    learner, position = spread(counts)
    is_last = position >= counts[learner] - 5
    best = np.zeros(len(learners), dtype=np.int64)
    np.maximum.at(best, learner[is_last], score[is_last])
    return learners[(best < _PASS_MARK) & (counts >= 3)]


def _practised(rng: np.random.Generator, users: np.ndarray) -> np.ndarray:
    """Everybody has two skills to learn, the first twice as often."""
    is_second = rng.random(len(users)) < 1 / 3
    return (users * 5 + 3 * is_second) % len(SKILLS)


def _practice(user: np.ndarray, skill: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How many lessons in this skill the learner had begun before each."""
    key = user.astype(np.int64) * len(SKILLS) + skill
    order = np.lexsort((times, key))
    _, counts = np.unique(key[order], return_counts=True)
    practice = np.empty(len(key), dtype=np.int64)
    practice[order] = spread(counts)[1]
    return practice
