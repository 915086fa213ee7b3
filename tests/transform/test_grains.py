"""Every grain: hours, days, weeks, months and quarters of any zone, and sessions; with numbers computed by hand or by a
plain query over all events."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.transform.events import load

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


def refresh(dbt, high_mark: int) -> None:
    dbt.build("staging marts published", high_mark)


def event(number: object, at: datetime, user: str = "u", kind: str = "page_viewed", **properties) -> dict:
    return {"event_id": f"e{number}", "event_type": kind, "occurred_at": at, "user_id": user, "properties": properties}


def figures(connection, table: str, metric: str, *columns: str, segment: str = "all") -> dict:
    rows = connection.execute(
        f"select {', '.join(columns)}, value from api.{table} where metric = %s and segment = %s", [metric, segment]
    ).fetchall()
    connection.rollback()
    return {key[0] if len(key) == 1 else key: value for *key, value in map(tuple, rows) for key in [tuple(key)]}


@pytest.mark.parametrize("zone", ZONES)
def test_hours_sum_to_days_of_any_length(dbt, connection, zone):
    """An event every ten minutes over both changes of clocks of the year: a day has as many as its length says."""
    connection.execute("update ops.tenant set timezone = %s", [zone])
    there = ZoneInfo(zone)
    changes = [(3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (10, 31)]
    starts = [datetime(2026, month, day, tzinfo=UTC) for month, day in changes]
    moments = {start + timedelta(minutes=10 * n) for start in starts for n in range(3 * 144)}
    refresh(dbt, load(connection, [event(n, at) for n, at in enumerate(sorted(moments))]))
    daily = figures(connection, "metric_daily", "events", "day")
    hourly = figures(connection, "metric_hourly", "events", "hour")
    expected, summed = {}, {}
    for moment in moments:
        day = moment.astimezone(there).date()
        expected[day] = expected.get(day, 0) + 1
    for hour, value in hourly.items():
        day = hour.astimezone(there).date()
        summed[day] = summed.get(day, 0) + value
    assert daily == summed == expected
    lengths = {"Europe/Berlin": {23, 24, 25}, "America/New_York": {23, 24, 25}, "Australia/Lord_Howe": {23.5, 24, 24.5}}
    whole = {value / 6 for day, value in daily.items() if value > 140 - 6}
    assert whole >= {float(length) for length in lengths.get(zone, {24})}


def test_people_are_counted_once_at_every_grain(dbt, connection):
    """u on three days of March of which two are in one ISO week, v in March and April, w in April only."""
    days = {"u": [(3, 2), (3, 4), (3, 9)], "v": [(3, 31), (4, 1)], "w": [(4, 30)]}
    moments = [(user, datetime(2026, month, day, 12, tzinfo=UTC)) for user, some in days.items() for month, day in some]
    refresh(dbt, load(connection, [event(n, at, user) for n, (user, at) in enumerate(moments)]))
    assert figures(connection, "metric_period", "active_users", "grain", "start_date") == {
        ("week", date(2026, 3, 2)): 1,
        ("week", date(2026, 3, 9)): 1,
        ("week", date(2026, 3, 30)): 1,  # v on Tuesday and Wednesday, in two months and two quarters
        ("week", date(2026, 4, 27)): 1,
        ("month", date(2026, 3, 1)): 2,
        ("month", date(2026, 4, 1)): 2,
        ("quarter", date(2026, 1, 1)): 2,
        ("quarter", date(2026, 4, 1)): 2,
    }
    events = figures(connection, "metric_period", "events", "grain", "start_date")
    assert (events["month", date(2026, 3, 1)], events["quarter", date(2026, 4, 1)]) == (4, 2)


def test_a_ratio_over_a_month_is_that_of_its_sums(dbt, connection):
    """Scores of 100 on one day and 40, 40, 40 on the next: 55 over the month, not the mean of the days, 70."""
    lessons = [(1, 100), (2, 40), (2, 40), (2, 40)]
    refresh(
        dbt,
        load(
            connection,
            [
                event(n, datetime(2026, 3, day, 12, n, tzinfo=UTC), kind="lesson_completed", skill="a", score=score)
                for n, (day, score) in enumerate(lessons)
            ],
        ),
    )
    assert figures(connection, "metric_daily", "average_score", "day") == {date(2026, 3, 1): 100, date(2026, 3, 2): 40}
    monthly = figures(connection, "metric_period", "average_score", "grain", "start_date")
    assert monthly["month", date(2026, 3, 1)] == 55


@pytest.mark.parametrize("seed", [1, 2])
def test_percentiles_are_those_of_all_values_at_every_grain(dbt, connection, seed):
    """Values over eight orders of magnitude, zeros and ties among them, and a late load; those below zero are held."""
    rng = random.Random(seed)
    start = datetime(2026, 2, 20, tzinfo=UTC)

    def latency() -> float:
        return rng.choice([0, -3.5, 20, 20, round(10 ** rng.uniform(-2, 6), 4)])

    requests = [
        event(
            n, start + timedelta(minutes=rng.randrange(60 * 24 * 45)), kind="request_served",
            endpoint=rng.choice("ab"), status=200, latency_ms=latency(),
        )
        for n in range(400)
    ]  # fmt: skip
    refresh(dbt, load(connection, requests[:350]))
    refresh(dbt, load(connection, requests[350:]))
    for table, bucket in (
        ("metric_hourly", "ops.hour_of(occurred_at, ops.timezone())"),
        ("metric_daily", "ops.day_of(occurred_at, ops.timezone())"),
        ("metric_period", "date_trunc(grain, ops.day_of(occurred_at, ops.timezone())::timestamp)::date"),
    ):
        column = {"metric_hourly": "hour", "metric_daily": "day", "metric_period": "start_date"}[table]
        for metric, share in (("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95)):
            grains = "unnest(array['week', 'month', 'quarter'])" if table == "metric_period" else "(values (''))"
            expected = connection.execute(
                f"""select grain, {bucket}, segment,
                        percentile_cont(%s) within group (order by (properties ->> 'latency_ms')::float8)::numeric
                    from raw.events
                    cross join {grains} as grains (grain)
                    cross join lateral (values ('all'), ('endpoint=' || (properties ->> 'endpoint'))) as s (segment)
                    where (properties ->> 'latency_ms')::float8 >= 0
                    group by 1, 2, 3""",
                [share],
            ).fetchall()
            grain = "grain" if table == "metric_period" else "''"
            found = connection.execute(
                f"select {grain}, {column}, segment, value from api.{table} where metric = %s", [metric]
            ).fetchall()
            assert sorted(found) == sorted(expected)
            assert len(found) > 3


def sessions(connection) -> list[tuple]:
    rows = connection.execute(
        """select user_id, to_char(started_at, 'DD HH24:MI'), length_seconds, actions
           from marts.sessions order by 1, 2"""
    ).fetchall()
    connection.rollback()
    return rows


def test_late_events_join_and_split_sessions(dbt, connection):
    """Across midnight and over five hours: what lies between decides, whenever it comes."""
    connection.execute("update ops.tenant set timezone = 'UTC'")
    ten = datetime(2026, 3, 1, 22, tzinfo=UTC)

    def page(minute: int) -> dict:
        return event(minute, ten + timedelta(minutes=minute))

    refresh(dbt, load(connection, [page(0), page(50), page(300)]))
    assert sessions(connection) == [("u", "01 22:00", 0, 1), ("u", "01 22:50", 0, 1), ("u", "02 03:00", 0, 1)]
    refresh(dbt, load(connection, [page(25)]))
    assert sessions(connection) == [("u", "01 22:00", 3000, 3), ("u", "02 03:00", 0, 1)]
    refresh(dbt, load(connection, [page(minute) for minute in range(75, 300, 25)]))
    assert sessions(connection) == [("u", "01 22:00", 18_000, 13)]
    assert figures(connection, "metric_hourly", "sessions", "hour") == {ten: 1}
    assert figures(connection, "metric_hourly", "average_session_seconds", "hour") == {ten: 18_000}

    connection.execute("delete from raw.events where event_id = 'e150'")  # 00:30: 50 minutes of silence
    connection.execute(
        "insert into raw.loads values (4, 'erasure', 'e150', '', 0, 0, 0, 0, 0, null, now(), now(), 'erasure')"
    )
    connection.execute("insert into raw.touched_hours values (4, '2026-03-02 00:00Z')")
    connection.commit()
    refresh(dbt, 4)
    assert sessions(connection) == [("u", "01 22:00", 7500, 6), ("u", "02 00:55", 7500, 6)]
    assert figures(connection, "metric_hourly", "sessions", "hour") == {
        ten + timedelta(hours=hours): count for hours, count in {0: 1, 2: 1}.items()
    }


def test_a_session_is_computed_again_only_when_it_reaches_a_touched_hour(dbt, connection):
    def versions() -> dict:
        rows = dict(connection.execute("select started_at, xmin::text from marts.sessions").fetchall())
        connection.rollback()
        return rows

    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    refresh(dbt, load(connection, [event(hour, noon + timedelta(hours=hour)) for hour in range(-6, 6)]))
    before = versions()
    refresh(dbt, load(connection, [event("late", noon + timedelta(minutes=40))]))
    after = versions()
    assert {at for at in after if after[at] != before.get(at)} == {noon + timedelta(minutes=40)}
    assert len(after) == 12  # that of 13:00 is part of the new one


def test_weeks_count_for_retention_when_they_are_over(dbt, connection):
    """u comes in the week of 2 March and in the next, v in the first only; the third week is not over."""
    comes = [("u", 2), ("v", 3), ("u", 10), ("w", 16), ("u", 17), ("v", 17)]
    events = [event(n, datetime(2026, 3, day, 12, tzinfo=UTC), user) for n, (user, day) in enumerate(comes)]
    refresh(dbt, load(connection, events))
    rows = connection.execute(
        "select cohort_date, periods_later, users, cohort_users, retention_rate from api.retention "
        "where grain = 'week' order by 1, 2"
    ).fetchall()
    assert rows == [(date(2026, 3, 2), 0, 2, 2, Decimal(1)), (date(2026, 3, 2), 1, 1, 2, Decimal("0.5"))]
