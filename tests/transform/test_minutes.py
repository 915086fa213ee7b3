"""The minute tables of the fast lane and their windows: exact, in step with the hours, and the same in any order."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.conftest import IS_NIGHTLY
from tests.transform.events import load, random_events

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


def build(dbt, high_mark: int) -> None:
    dbt.build("staging fast fast_published", high_mark)


def event(number: int, kind: str, moment: datetime, user: str = "u1", **properties) -> dict:
    return {"event_id": f"e{number}", "event_type": kind, "occurred_at": moment, "user_id": user,
            "properties": properties}  # fmt: skip


def windows(connection: psycopg.Connection, metric: str, segment: str = "all") -> dict[int, float]:
    rows = connection.execute(
        "select window_minutes, value from api.windows where metric = %s and segment = %s order by 1", [metric, segment]
    ).fetchall()
    return {minutes: float(value) for minutes, value in rows}


def contents(connection: psycopg.Connection) -> dict[str, list]:
    tables = ("intermediate.int_user_minutes", "intermediate.int_order_minutes", "intermediate.int_request_minutes",
              "marts.metric_minutes", "views.metric_minutes", "views.windows")  # fmt: skip
    return {table: sorted(connection.execute(f"select to_jsonb(t)::text from {table} as t")) for table in tables}


def test_windows_are_exact(dbt, connection):
    """Everything within the hour before 11:00; an event at 11:00:30 says that 10:59 is complete."""
    ends = START + timedelta(hours=1)

    def before(minutes: float) -> datetime:
        return ends - timedelta(minutes=minutes)

    visits = [("u1", 0.5), ("u2", 0.7), ("u1", 3), ("u3", 4), ("u1", 14), ("u4", 59), ("u5", 61)]
    events = [event(n, "page_viewed", before(minutes), user) for n, (user, minutes) in enumerate(visits)]
    requests = [(0.5, 100, 200), (2, 300, 500), (10, 200, 200), (30, 400, 200)]
    events += [
        event(20 + n, "request_served", before(minutes), endpoint="/a", latency_ms=latency, status=status)
        for n, (minutes, latency, status) in enumerate(requests)
    ]
    events += [
        event(40, "transaction_created", before(2), transaction_id="t1", amount=5, currency="EUR"),
        event(41, "transaction_created", before(3), transaction_id="t2", amount=7, currency="USD"),
        event(42, "order_line_recorded", before(1), order_id="o1", quantity=2, price=3, currency="EUR"),
        event(43, "order_line_recorded", before(6), order_id="o1", quantity=1, price=4, currency="EUR"),
        event(44, "order_line_recorded", before(6), order_id="o2", quantity=1, price=9, currency="USD"),
        event(50, "page_viewed", ends + timedelta(seconds=30), "u9"),
    ]
    build(dbt, load(connection, events))
    assert connection.execute("select distinct as_of from api.windows").fetchall() == [(ends,)]
    # What is sold and bought is an activity of u1 too; a request is none.
    assert windows(connection, "active_users") == {1: 2, 5: 3, 15: 3, 60: 4}
    assert windows(connection, "requests") == {1: 1, 5: 2, 15: 3, 60: 4}
    assert windows(connection, "error_rate") == {1: 0, 5: 0.5, 15: pytest.approx(1 / 3), 60: 0.25}
    assert windows(connection, "latency_p50_ms", "endpoint=/a") == {1: 100, 5: 200, 15: 200, 60: 250}
    assert windows(connection, "orders") == {1: 1, 5: 1, 15: 2, 60: 2}
    assert windows(connection, "revenue") == {1: 6, 5: 6, 15: 10, 60: 10}
    assert windows(connection, "revenue", "currency=USD") == {15: 9, 60: 9}
    assert windows(connection, "transactions") == {5: 2, 15: 2, 60: 2}
    rate = "select window_minutes, per_second from api.windows where metric = 'transactions' and segment = 'all'"
    assert {minutes: float(value) for minutes, value in connection.execute(rate)} == {
        5: pytest.approx(2 / 300), 15: pytest.approx(2 / 900), 60: pytest.approx(2 / 3600)
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(10 if IS_NIGHTLY else 1))
def test_any_order_and_batching_gives_the_minutes_of_one_clean_build(dbt, connection, seed):
    rng = random.Random(seed)
    events = [event for event in random_events(rng, 120) if event["occurred_at"].year == 2026]
    shuffled = rng.sample(events, len(events))
    cuts = sorted(rng.sample(range(1, len(events)), 3))
    for begin, end in itertools.pairwise([0, *cuts, len(events)]):
        build(dbt, load(connection, shuffled[begin:end]))
    stepwise = contents(connection)
    connection.execute("delete from ops.definitions")  # has every table made anew
    connection.commit()
    build(dbt, 4)
    assert contents(connection) == stepwise
    newest = max(event["occurred_at"] for event in events)
    within = [e for e in events if e["occurred_at"].replace(second=0) > newest - timedelta(days=2)]
    assert connection.execute("select min(minute) from marts.metric_minutes").fetchone()[0] > newest - timedelta(days=2)
    requests = sum(event["event_type"] == "request_served" for event in within)
    counted = "select sum(value) from marts.metric_minutes where metric = 'requests' and segment = 'all'"
    assert connection.execute(counted).fetchone() == (requests,)


def test_minutes_sum_to_the_hours_of_the_hourly_tables(dbt, connection):
    events = [event for event in random_events(random.Random(3), 200) if event["occurred_at"].year == 2026]
    newest = max(event["occurred_at"] for event in events)
    mark = load(connection, [e for e in events if e["occurred_at"] > newest - timedelta(hours=47)])
    dbt.build("staging marts fast", mark)
    differing = connection.execute(
        """select hours.metric, hours.segment, hours.hour, hours.value, minutes.value
           from (
               select metric, segment, ops.hour_of(minute, ops.timezone()) as hour,
                   case when count(denominator) > 0 then sum(numerator) / nullif(sum(denominator), 0)
                       else sum(value) end as value
               from marts.metric_minutes group by 1, 2, 3
           ) as minutes
           full join marts.metric_hourly as hours using (metric, segment, hour)
           where metric in (select distinct metric from marts.metric_minutes)
             and metric not in ('active_users', 'latency_p50_ms', 'latency_p95_ms', 'latency_p99_ms')
             and hours.value is distinct from minutes.value"""
    ).fetchall()
    assert differing == []
    shared = "select count(distinct metric) from marts.metric_minutes join marts.metric_hourly using (metric, segment)"
    assert connection.execute(shared).fetchone()[0] >= 12


def test_a_client_whose_clock_is_ahead_does_not_end_the_windows_early(dbt, connection):
    mark = load(connection, [event(n, "page_viewed", START + timedelta(seconds=10 * n)) for n in range(20)])
    connection.execute("update raw.events set received_at = occurred_at")
    ahead = load(connection, [event(99, "page_viewed", START + timedelta(minutes=7))])
    connection.execute("update raw.events set received_at = %s where event_id = 'e99'", [START + timedelta(minutes=3)])
    connection.commit()
    build(dbt, ahead)
    assert ahead == mark + 1
    assert connection.execute("select distinct as_of from api.windows").fetchall() == [(START + timedelta(minutes=3),)]
    assert windows(connection, "events") == {1: 6, 5: 18, 15: 18, 60: 18}
