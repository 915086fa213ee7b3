"""Learning, with numbers computed by hand: streaks, momentum, what is unusual, periods, insights, recommendations."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.transform.events import load

NOON = datetime(2026, 3, 31, 11, tzinfo=UTC)  # the end of the newest complete hour


def event(user: str, at: datetime, kind: str = "lesson_completed", **properties) -> dict:
    """An event whose identity is who, what and when."""
    return {
        "event_id": f"{user} {kind} {at}",
        "event_type": kind,
        "occurred_at": at,
        "user_id": user,
        "properties": properties,
    }


def lessons(user: str, scores: list[int], first: datetime, **properties) -> list[dict]:
    """One lesson a day, of the skill `a`."""
    return [
        event(user, first + timedelta(days=n), skill="a", score=score, duration_seconds=600, **properties)
        for n, score in enumerate(scores)
    ]


def days_ago(number: int, hour: int = 9) -> datetime:
    return NOON.replace(hour=hour) - timedelta(days=number)


def clock() -> list[dict]:
    """What makes the hour before NOON the newest complete one."""
    return [
        event("clock", NOON - timedelta(minutes=45), "page_viewed"),
        event("clock", NOON + timedelta(minutes=90), "page_viewed"),
    ]


EVENTS = [
    *clock(),
    *lessons("today", [70, 70, 70], days_ago(2)),
    *lessons("yesterday", [70, 70], days_ago(2)),
    *lessons("opened", [70], days_ago(3)),
    event("opened", days_ago(0), "lesson_started", skill="a"),
    *lessons("three", [70], days_ago(3)),
    *lessons("four", [70], days_ago(4)),
    # half an hour before and after midnight in Auckland, on one day of the tenant's Berlin
    event("auckland", days_ago(20), "user_identified", traits={"timezone": "Pacific/Auckland"}),
    event("auckland", datetime(2026, 3, 30, 10, 30, tzinfo=UTC), skill="a", score=70),
    event("auckland", datetime(2026, 3, 30, 11, 30, tzinfo=UTC), skill="a", score=70),
    *lessons("fallen", [80, 82, 78, 81, 79, 80, 80, 30, 25, 20], days_ago(9)),
    event("fallen", days_ago(0, 10), skill="a", score=140),  # held
    event("fallen", days_ago(0, 10) + timedelta(minutes=1), skill="all", score=90),  # held
    *lessons("low", [25, 27, 23, 26, 24, 25, 25, 30, 25, 20], days_ago(9)),
    *lessons("riser", list(range(50, 70, 2)), days_ago(9)),
    *(
        event(
            "keen", datetime(2026, 3, 10, hour, tzinfo=UTC),
            skill=skill, score=score, duration_seconds=2880, class_id="k",
        )
        for hour, skill, score in ((9, "a", 90), (10, "a", 80), (11, "b", 40))
    ),
    event("other", datetime(2026, 3, 10, 12, tzinfo=UTC), skill="b", score=70, duration_seconds=2880, class_id="k"),
    *(event("regular", days_ago(number), skill="a") for number in (30, 28, 26, 24, 22, 20, 18)),
]  # fmt: skip


@pytest.fixture
def ask(dbt, connection):
    dbt.build("staging marts published", load(connection, EVENTS))
    return lambda query: [tuple(row) for row in connection.execute(query).fetchall()]


def test_what_is_told_of_learners(ask):
    assert ask("select distinct as_of from api.learners") == [(NOON,)]
    standing = {
        user: row for user, *row in ask("select user_id, current_streak, streak_state, momentum from api.learners")
    }
    assert standing["today"] == [3, "extended", "high"]
    assert standing["yesterday"] == [2, "at risk", "medium"]
    assert standing["opened"] == [0, "broken", "medium"]
    assert standing["three"] == [0, "broken", "low"]
    assert standing["four"] == [0, "broken", "stalled"]
    assert standing["auckland"] == [2, "extended", "high"]

    assert ask("select relation, reason, records from api.held_values order by reason") == [
        ("stg_lessons", "a skill is named all", 1),
        ("stg_lessons", "score outside 0..100", 1),
    ]
    struggling = ask("select user_id, last_scores, weaknesses from api.learners where is_struggling")
    assert struggling == [("low", [20, 25, 30, 25, 25], ["a"])]
    unusual = ask(
        "select user_id, skill, usual, recent, severity from api.learner_measures where is_unusual order by 1, 2"
    )
    assert unusual == [("fallen", skill, 80, 25, "high") for skill in ("a", "all")]
    # Away for 18 days, where 2 are usual, always.
    assert ask("select user_id from api.learners where is_unusually_absent") == [("regular",)]

    periods = ask(
        """select grain, activities, average_score, score_level, learning_seconds, skills, strengths, weaknesses,
                  engagement_level, velocity
           from api.learning_periods where scope = 'learner' and name = 'keen'"""
    )
    by_grain = {grain: row for grain, *row in periods}
    # 2.4 hours are a tenth of the day, three lessons are all that count. March has 743 hours in Berlin.
    assert by_grain["day"] == [3, 70, "fair", 8640, 2, ["a"], ["b"], 1, Decimal("1.25")]
    assert set(by_grain) == {"day", "week", "month", "quarter", "year"}
    month = (Decimal("2.4") / Decimal("74.3") + Decimal(3) / 31 / 3) / 2
    assert by_grain["month"][7] == pytest.approx(month, abs=Decimal("1e-9"))
    (klass,) = ask(
        """select learners, activities, average_score, start_date, end_date, engagement_level
           from api.learning_periods where scope = 'class' and grain = 'day'"""
    )
    # two learners: 3.2 hours of 4.8 and 4 lessons of 6
    assert klass == (2, 4, 70, date(2026, 3, 10), date(2026, 3, 11), pytest.approx(Decimal(2) / 3, abs=Decimal("1e-9")))
    assert ask("select ops.score_level(s) from unnest(array[90, 89.9, 75, 74.9, 60, 59.9, null]) as s") == [
        (level,) for level in ("excellent", "good", "good", "fair", "fair", "poor", None)
    ]

    insights = ask(
        "select place, kind, confidence, evidence from api.learner_insights where user_id = 'low' order by 1"
    )
    assert insights[0][1:3] == ("struggling", Decimal("0.857143"))  # six of seven, by the rule of succession
    assert insights[0][3] == "The newest 5 scores are all below 60: 20, 25, 30, 25, 25."
    assert (
        ask("select max(count) from (select count(*) from api.learner_insights group by user_id) as counts")[0][0] <= 5
    )
    assert ask("select kind from api.learner_insights where user_id = 'fallen' and place = 1") == [("unusual score",)]
    # Ten more lessons at 2 points each, of which ten scores are believed by half.
    riser = ask(
        "select place, recommendation, expected_effect from api.learner_recommendations where user_id = 'riser'"
    )
    assert riser == [(1, "practise a", 10)]
    (trend,) = ask(
        """select trend, improvement_rate, projected from api.learner_measures
           where (user_id, measure, skill) = ('riser', 'score', 'a')"""
    )
    assert trend == ("improving", 2, 100)
