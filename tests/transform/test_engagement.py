"""Engagement, content, system and experiments: one small history, with every expected number counted by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.transform import project
from tests.transform.events import load

EXPERIMENT = """
experiments:
  button:
    variants: {control: 1, green: 1}
    goals:
      finished: {event_type: content_completed, value: duration_seconds, where: {category: "it's art"}}
    windows: [P1D]
"""


def event(when: str, user: str | None, kind: str, **properties) -> dict:
    moment = datetime.fromisoformat(f"2026-03-{when}").replace(tzinfo=UTC)
    return {"occurred_at": moment, "user_id": user, "event_type": kind, "properties": properties}


def history() -> list[dict]:
    """Four people over three weeks (from Monday the 2nd), three endpoints on the last day, and an end on the 24th."""
    c1, art = {"content_id": "c1"}, {"category": "it's art"}
    told = [
        event("02T09:00", "u1", "experiment_viewed", experiment_id="button", variant_id="green"),
        event("02T09:30", "u1", "experiment_viewed", experiment_id="button", variant_id="control"),
        event("02T09:00", "u2", "experiment_viewed", experiment_id="button", variant_id="control"),
        event("02T09:00", "u3", "experiment_viewed", experiment_id="button", variant_id="green"),
        event("02T10:00", "u1", "content_viewed", **c1),
        event("02T10:05", "u1", "content_started", **c1),
        event("02T10:20", "u1", "content_completed", **c1, **art, duration_seconds=900),
        event("02T10:21", "u1", "content_rated", **c1, rating=5),
        event("02T11:00", "u2", "content_viewed", **c1),
        event("02T11:10", "u2", "content_started", **c1),
        event("02T11:11", "u2", "content_rated", content_id="c2", rating=1),
        event("02T12:00", "u3", "content_viewed", **c1),
        event("09T10:00", "u1", "content_viewed", **c1),
        event("09T10:00", "u4", "page_viewed"),
        *(
            event(f"09T10:0{minute}", "u4", "content_searched", query=" Quantum", results_count=0)
            for minute in (1, 2, 3)
        ),
        event("09T10:10", "u4", "lesson_completed", skill="algebra", score=140),
        event("09T10:11", "u4", "lesson_completed", skill="algebra", score=80),
        event("09T10:12", "u4", "lesson_completed", skill="algebra", score="eighty"),
        event("09T10:13", "u4", "content_rated", content_id="c2", rating=6),
        event("16T10:00", "u2", "page_viewed"),
        event("22T10:30", "u4", "page_viewed"),
        event("24T05:00", "u9", "page_viewed"),
    ]
    failures = {"/a": 6, "/b": 1, "/c": 0}
    told += [
        event(f"22T10:0{n}", None, "request_served", endpoint=name, status=500 if n < failed else 200, latency_ms=10)
        for name, failed in failures.items()
        for n in range(10)
    ]
    return [one | {"event_id": f"e{number}"} for number, one in enumerate(told)]


@pytest.fixture
def ask(dbt, tenant_in, tmp_path):
    connection = tenant_in("UTC")
    connection.execute("create table raw.events_all partition of raw.events default")
    (tmp_path / "config" / "experiments.yml").write_text(EXPERIMENT)
    dbt.build("staging marts published", load(connection, history()))
    return lambda query: connection.execute(query).fetchall()


def test_a_small_history_comes_out_as_counted_by_hand(ask):
    weeks = ask(
        """select to_char(start_date, 'DD'), active_users, new_users, returning_users, resurrected_users, dormant_users
           from api.active_users where grain = 'week' order by 1"""
    )
    # u2 and u3 stay away in the second week; u1 in the third, in which u2 is back and u4 comes again
    assert weeks == [("02", 3, 3, 0, 0, 0), ("09", 2, 1, 1, 0, 2), ("16", 2, 0, 1, 1, 1)]
    sticky = "select active_users, users_30d, stickiness_rate from api.active_users where start_date = '2026-03-22'"
    assert ask(sticky) == [(1, 4, Decimal("0.25"))]
    cohorts = ask(
        "select to_char(cohort_date, 'DD'), periods_later, users, cohort_users from api.retention order by 1, 2"
    )
    assert cohorts == [("02", 0, 3, 3), ("02", 1, 1, 3), ("02", 2, 1, 3), ("09", 0, 1, 1), ("09", 1, 1, 1)]

    funnel = ask(
        """select step, entries, users, median_seconds::integer, conversion_rate::float, step_conversion_rate::float
           from api.funnels where funnel = 'content' order by 1"""
    )
    # u1 enters on the 2nd and on the 9th; the second step took 300 and 600 seconds
    assert funnel == [(1, 4, 3, 0, 1, None), (2, 2, 2, 300, 0.5, 0.5), (3, 1, 1, 1200, 0.25, 0.5)]
    journeys = dict(ask("select path, sessions from api.journeys"))
    assert journeys == {
        "content_viewed": 2,
        "page_viewed": 2,
        "content_viewed > content_started > content_rated": 1,
        "content_viewed > content_started > content_completed > content_rated": 1,
        "page_viewed > content_searched > lesson_completed > content_rated": 1,
    }

    contents = ask(
        """select content_id, views, starts, completions, completion_rate::float, drop_off_rate::float, seconds,
                  round(shrunk_rating, 4)
           from api.content order by 1"""
    )
    # the mean of 5 and 1 is 3: (5 + 10 × 3) / 11 and (1 + 10 × 3) / 11
    assert contents == [
        ("c1", 4, 2, 1, 0.5, 0.5, 900, Decimal("3.1818")), ("c2", 0, 0, 0, None, None, 0, Decimal("2.8182"))
    ]  # fmt: skip
    assert ask("select gap, name, demand, evidence from api.content_gaps") == [
        ("nothing found", "quantum", 3, "3 of 3 searches found nothing")
    ]

    statuses = ask(
        """select endpoint, status, error_rate_1h::float, burn_rate_1h::float, error_budget_left_rate::float,
                  (saturation_rate * 600)::integer
           from api.system_status order by 1"""
    )
    # 6 and 1 of 10 failed where 1 in 100 may
    assert statuses == [
        ("/a", "down", 0.6, 60, -59, 1),
        ("/b", "degraded", 0.1, 10, -9, 1),
        ("/c", "healthy", 0, 0, 1, 1),
    ]

    variants = ask(
        """select variant, users, mixed_users, complete_users, converted_users, value_sum, value_square_sum,
                  expected_users::float
           from api.experiments order by 1"""
    )
    assert variants == [("control", 1, 0, 1, 0, 0, 0, 1.5), ("green", 2, 1, 2, 1, 900, 810_000, 1.5)]

    (summary,) = ask(
        """select value, previous_value, change_rate, year_ago_value, is_final
           from api.period_summary
           where metric = 'active_users' and segment = 'all' and grain = 'week' and start_date = '2026-03-09'"""
    )
    assert summary == (2, 3, pytest.approx(-1 / 3), None, True)

    held = ask("select relation, reason, records from api.held_values order by 1, 2")
    assert held == [
        ("stg_content_events", "rating outside 1..5", 1),
        ("stg_lessons", "score is no number", 1),
        ("stg_lessons", "score outside 0..100", 1),
    ]
    scores = "select value from api.metric_daily where metric = 'average_score' and segment = 'all'"
    assert ask(scores) == [(80,)]
    assert ask("select detail from staging.stg_held where relation = 'stg_lessons' order by 1") == [
        ('"eighty"',), ("140",)
    ]  # fmt: skip


def test_a_changed_funnel_or_objective_is_another_project(dbt, tenant_in, tmp_path):
    tenant_in("UTC")
    before = project.checksum()
    path = tmp_path / "config" / "funnels.yml"
    path.write_text(path.read_text().replace("PT24H", "PT1H"))
    assert project.configured()["funnels"]["content"]["within"] == timedelta(hours=1).total_seconds()
    assert project.checksum() != before
