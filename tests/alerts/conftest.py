"""What dbt publishes, as plain tables that a test fills by hand."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from orchestration.warehouse import database

START = datetime(2026, 3, 2, tzinfo=UTC)

_TABLES = """
create table api.metrics (
    metric text primary key, system text, description text, unit text, adds_up text, good_direction text
);
insert into api.metrics values
    ('orders', 'shop', 'Orders', 'count', 'distinct', 'up'),
    ('revenue', 'shop', 'Revenue', 'money', 'sum', 'up'),
    ('error_rate', 'system', 'Share of requests that fail', 'rate', 'ratio', 'down'),
    ('latency_p95_ms', 'system', 'Latency', 'ms', 'percentile', 'down'),
    ('requests', 'system', 'Requests', 'count', 'sum', 'up'),
    ('events', 'engagement', 'Events', 'count', 'sum', 'up'),
    ('sessions', 'engagement', 'Sessions', 'count', 'sum', 'up');
create table api.metric_hourly (
    metric text, segment text, hour timestamptz, value numeric, is_final boolean, load_id bigint default 1,
    primary key (metric, segment, hour)
);
create table api.metric_daily (
    metric text, segment text, day date, value numeric, is_final boolean, load_id bigint default 1,
    primary key (metric, segment, day)
);
create table api.metric_minutes (
    metric text, segment text, minute timestamptz, value numeric, primary key (metric, segment, minute)
);
create table api.windows (as_of timestamptz);
create table api.forecasts (
    series_id text, ds timestamptz, yhat float8, lo_95 float8, hi_95 float8, load_id bigint
);
create table api.anomalies (
    series_id text, ds timestamptz, value float8, score float8 default 0, is_anomaly boolean, expected float8,
    lo float8, hi float8, model_id text default 'm', load_id bigint default 1, primary key (series_id, ds)
);
"""


class Published:
    """The published series: a test adds hours to them."""

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection

    def hours(self, metric: str, values: list, *, segment: str = "all", first: int = 0, is_final: bool = True) -> None:
        """The values of consecutive hours from hour number `first`; None is an hour without a row."""
        for number, value in enumerate(values, first):
            if value is not None:
                self.connection.execute(
                    "insert into api.metric_hourly values (%s, %s, %s, %s, %s)",
                    [metric, segment, at(number), value, is_final],
                )

    def anomalies(self, series_id: str, rows: list[tuple[float, float, bool]], *, first: int = 0) -> None:
        """(value, expected, is_anomaly) of consecutive hours."""
        for number, (value, expected, is_anomaly) in enumerate(rows, first):
            self.connection.execute(
                """insert into api.anomalies (series_id, ds, value, is_anomaly, expected, lo, hi)
                   values (%s, %s, %s, %s, %s, %s, %s)""",
                [series_id, at(number), value, is_anomaly, expected, expected * 0.8, expected * 1.2],
            )

    def gate(self, table_name: str, status: str) -> None:
        self.connection.execute(
            """insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results)
               values (%s, 'r', 1, %s, 3, 30, %s)""",
            [
                table_name,
                status,
                Jsonb([{"severity": "error", "success": False, "says": "score is 140 in 3 rows"}]),
            ],
        )

    def incidents(self) -> list[tuple[int, int | None]]:
        """(opened, resolved) of every incident, as hour numbers, in the order in which they opened."""
        rows = self.connection.execute("select opened_hour, resolved_hour from ops.incidents order by opened_hour")
        return [(number(row["opened_hour"]), number(row["resolved_hour"])) for row in rows]

    def mails(self) -> list[dict]:
        return self.connection.execute("select * from ops.outbox order by created_at, topic, recipient").fetchall()


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def number(hour: datetime | None) -> int | None:
    return None if hour is None else int((hour - START) / timedelta(hours=1))


@pytest.fixture
def published(warehouse) -> Published:
    """An empty warehouse in which the api's tables exist."""
    with database.connect(rows=True) as connection:
        connection.execute(_TABLES)
        connection.commit()
        yield Published(connection)
