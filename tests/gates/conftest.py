"""A warehouse with loads of events, and what dbt would build of them as plain SQL: dbt is not tested here."""

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

STAGING = """
create view staging.stg_lessons_checked as
select source, event_id, occurred_at, ops.hour_of(occurred_at, ops.timezone()) as hour, user_id, load_id,
    ops.number_of(properties -> 'score') as score,
    case when ops.number_of(properties -> 'score') not between 0 and 100 then 'score outside 0..100' end as held_reason
from raw.events where event_type = 'lesson_completed';

create view staging.stg_order_lines as
select source, event_id, occurred_at, ops.hour_of(occurred_at, ops.timezone()) as hour, user_id, load_id,
    properties ->> 'order_id' as order_id, properties ->> 'currency' as currency,
    ops.number_of(properties -> 'quantity') as quantity, ops.number_of(properties -> 'price') as price,
    ops.number_of(properties -> 'quantity') * ops.number_of(properties -> 'price') as amount
from raw.events where event_type = 'order_line_recorded';

create table marts.metric_daily (metric text, segment text, day date, value numeric);
create table marts.metric_hourly (metric text, segment text, hour timestamptz, value numeric);
"""


@pytest.fixture
def connection(warehouse):
    with psycopg.connect(warehouse) as connection:
        connection.execute(STAGING)
        connection.execute("create table raw.events_all partition of raw.events default")
        connection.commit()
        yield connection


def load(connection: psycopg.Connection, load_id: int, events: list[dict]) -> None:
    """Commit a load: `occurred_at` and `event_type` of each event are columns, the rest are its properties."""
    now = datetime.now(UTC)
    connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at)
           values (%s, 'native', 'a.jsonl', %s, %s, %s, 0, 0, 0, %s)""",
        [load_id, str(load_id), len(events), len(events), now],
    )
    with connection.cursor() as cursor:
        columns = "source, event_id, event_type, occurred_at, received_at, user_id, properties, load_id"
        with cursor.copy(f"copy raw.events ({columns}) from stdin") as copy:
            for number, event in enumerate(events):
                properties = {name: value for name, value in event.items() if name not in ("occurred_at", "event_type")}
                copy.write_row(
                    (
                        "native",
                        f"{load_id}-{number}",
                        event["event_type"],
                        event["occurred_at"],
                        now,
                        f"u{number}",
                        Jsonb(properties),
                        load_id,
                    )
                )
    touch(connection, load_id)
    connection.commit()


def touch(connection: psycopg.Connection, load_id: int) -> None:
    """Write down the hours in which a load has events."""
    connection.execute(
        """insert into raw.touched_hours
           select distinct load_id, ops.hour_of(occurred_at, ops.timezone()) from raw.events where load_id = %s
           on conflict do nothing""",
        [load_id],
    )


def lesson(occurred_at: datetime, score: float) -> dict:
    return {"event_type": "lesson_completed", "occurred_at": occurred_at, "score": score, "duration_seconds": 60}
