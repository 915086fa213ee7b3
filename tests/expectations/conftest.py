"""Tables that hold exactly the rows that a test plants."""

from collections.abc import Callable

import psycopg
import pytest

from expectations import GateResult, suites, validate
from orchestration.warehouse import database

# As the dbt models have them. Tables of migrations are copied without their constraints, so that faults can be planted.
SHAPES = {
    "staging.stg_events": "source text, event_id text, event_type text, occurred_at timestamptz, hour timestamptz, "
    "system text",
    "staging.stg_content_events": "occurred_at timestamptz, held_reason text",
    "staging.stg_lessons": "occurred_at timestamptz, held_reason text",
    "staging.stg_exchange_rates": "occurred_at timestamptz, held_reason text",
    "staging.stg_order_lines": "occurred_at timestamptz, order_id text, quantity numeric, price numeric, "
    "held_reason text",
    "staging.stg_product_events": "occurred_at timestamptz, held_reason text",
    "staging.stg_requests": "occurred_at timestamptz, held_reason text",
    "staging.stg_room_events": "occurred_at timestamptz, held_reason text",
    "staging.stg_seller_ratings": "occurred_at timestamptz, held_reason text",
    "staging.stg_transactions": "occurred_at timestamptz, event_type text, seller_id text, held_reason text",
    "marts.metric_hourly": "metric text, segment text, hour timestamptz, value numeric",
    "marts.metric_daily": "metric text, segment text, day date, value numeric",
    "marts.metric_period": "metric text, segment text, grain text, start_date date, end_date date, value numeric",
    "marts.sessions": "user_id text, hour timestamptz, started_at timestamptz, ended_at timestamptz, "
    "length_seconds numeric, actions bigint",
    "marts.content_item_daily": "content_id text, day date, views bigint, starts bigint, completions bigint, "
    "ratings bigint, rating_sum numeric",
    "marts.sales_hourly": "hour timestamptz, currency text, country text, category text, lines bigint, "
    "gross_revenue numeric, refunds numeric, revenue numeric, rate numeric, converted_revenue numeric",
    "marts.product_daily": "day date, product_id text, views bigint, adds bigint, orders bigint, revenue numeric, "
    "lowest_stock numeric, oversold_at timestamptz",
    "marts.learning_daily": "day date, user_id text, class_id text, skill text, activities bigint, scored bigint, "
    "score_sum numeric, learning_seconds numeric",
    "marts.rooms": "room_id text, day date, state text, members bigint, voters bigint, votes bigint, "
    "is_contradictory boolean, paused_seconds numeric, waiting_seconds numeric, seconds_to_match numeric, "
    "active_seconds numeric, consensus_rate numeric, consensus_strength numeric",
    "marts.user_daily": "user_id text, day date, events numeric, active_hours bigint, sessions bigint, "
    "lessons_completed bigint, average_score numeric, orders bigint, revenue numeric",
}

# The metrics of the planted rows, as the catalogue has them.
METRICS = """
    create table intermediate.int_metrics as
    select *, 'hour' as grain from (
        values ('active_users', 'count', 'distinct', false), ('average_score', 'score', 'ratio', false),
            ('error_rate', 'rate', 'ratio', false), ('orders', 'count', 'distinct', false),
            ('requests', 'count', 'sum', false), ('revenue', 'money', 'sum', true), ('units', 'count', 'sum', true)
    ) as metrics (metric, unit, adds_up, is_signed)"""

Judge = Callable[[str, list[dict]], GateResult]


def insert(connection: psycopg.Connection, table: str, rows: list[dict]) -> None:
    for row in rows:
        places = ", ".join(f"%({column})s" for column in row)
        connection.execute(f"insert into {table} ({', '.join(row)}) values ({places})", row)


@pytest.fixture(scope="session")
def warehouse(postgres) -> str:
    """The URL of one warehouse for all tests of suites: `connection` empties it for each."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("create database planted template template_tidemark")
    target = database._database(postgres, "planted")
    with psycopg.connect(target) as connection:
        for table, columns in SHAPES.items():
            connection.execute(f"create table {table} ({columns})")
        connection.execute(METRICS)
    return target


@pytest.fixture
def connection(warehouse):
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(f"truncate raw.loads, {', '.join(SHAPES)} cascade")
        connection.execute("update ops.tenant set timezone = 'UTC', currency = 'EUR'")
        yield connection


@pytest.fixture
def judge(connection, warehouse) -> Judge:
    """Put rows into an empty copy of a table, and judge it by the table's suite."""

    def judge_rows(table: str, rows: list[dict]) -> GateResult:
        connection.execute("drop table if exists public.planted")
        connection.execute(f"create table public.planted as select * from {table} with no data")
        insert(connection, "public.planted", rows)
        columns = ", ".join(suites()[table].columns)
        return validate(suites()[table], table, warehouse, f"select {columns} from public.planted")

    return judge_rows
