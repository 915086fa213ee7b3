"""Hours add up to days, whatever the tenant's clock does: skipping an hour, repeating it, or half of one."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.transform import histories

TURNS = {  # days on which the clock turns, and how many hours it strikes on them
    "Europe/Berlin": {date(2025, 3, 30): 23, date(2025, 10, 26): 25},
    "America/New_York": {date(2025, 3, 9): 23, date(2025, 11, 2): 25},
    "Asia/Kolkata": {date(2025, 3, 30): 24},
    "Australia/Lord_Howe": {date(2025, 10, 5): 24, date(2025, 4, 6): 25},  # half an hour: 23.5 and 24.5
    "UTC": {date(2025, 3, 30): 24},
}

ADDED_UP = """
    select hours.metric, hours.segment, hours.day, hours.value, days.value, hours.number
    from (
        select metric, segment, ops.day_of(hour, ops.timezone()) as day, sum(value) as value, count(*) as number
        from api.metric_hourly group by 1, 2, 3
    ) as hours
    full join api.metric_daily as days using (metric, segment, day)
    join api.metrics as metrics using (metric)
    where metrics.adds_up = 'sum'"""


def events_around(day: date, zone: ZoneInfo) -> list[dict]:
    """Two events in every quarter of an hour of a day and of those beside it: the latter have a different number."""
    begin = datetime.combine(day - timedelta(days=1), time(), zone).astimezone(UTC)
    kinds = [
        ("lesson_completed", {"skill": "a", "score": 50, "duration_seconds": 7}),
        ("order_completed", {"order_id": "o", "currency": "EUR", "products": [{"quantity": 2, "price": 0.1}]}),
    ]
    return [
        {
            "event_id": f"{day}-{quarter}-{kind}",
            "event_type": kind,
            "occurred_at": (begin + timedelta(minutes=15 * quarter + 14.999)).isoformat(),
            "user_id": f"u{quarter % 3}",
            "properties": properties,
        }
        for quarter in range(4 * 74)
        for kind, properties in kinds
    ]


@pytest.mark.parametrize("name", TURNS)
def test_hours_sum_to_days_on_every_kind_of_day(dbt, tenant_in, tmp_path, name):
    connection, zone = tenant_in(name), ZoneInfo(name)
    histories.ingest(tmp_path, [[event for day in TURNS[name] for event in events_around(day, zone)]])
    dbt.build("staging marts published", 1)
    rows = connection.execute(ADDED_UP).fetchall()
    assert [row for row in rows if row[3] != row[4]] == []
    assert {metric for metric, *_ in rows} >= {"lessons_completed", "learning_seconds", "revenue", "units", "sessions"}
    for day, hours in TURNS[name].items():
        midnights = [datetime.combine(day + timedelta(days=n), time(), zone).astimezone(UTC) for n in (0, 1)]
        quarters = (midnights[1] - midnights[0]) // timedelta(minutes=15)
        (lessons,) = (row for row in rows if row[:3] == ("lessons_completed", "all", day))
        assert lessons[3:] == (quarters, quarters, hours)
        (revenue,) = (row for row in rows if row[:3] == ("revenue", "all", day))
        assert revenue[3] == quarters * Decimal("0.2")
