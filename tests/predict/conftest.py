"""A small published warehouse: just the relations that learning reads, filled with known rhythms and known churners."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest

from orchestration.settings import ROOT
from orchestration.warehouse import database, marks

FIRST_DAY = date(2026, 1, 1)
DAYS = 90
PEOPLE = 900
MARK = 7
METRICS = [
    ("revenue", "money", "sum"),
    ("orders", "count", "distinct"),
    ("active_users", "count", "distinct"),
    ("average_score", "score", "ratio"),
    ("latency_p95_ms", "ms", "percentile"),
    ("content_views", "count", "sum"),
    ("rooms_created", "count", "sum"),
    ("requests", "count", "sum"),
]
CATALOGUE = {"a": ("books", 9.0), "b": ("books", 4.0), "c": ("toys", 6.0), "new": ("toys", 3.0)}


def churn_view(name: str) -> str:
    """The SELECT of dbt's view, over the tables made here."""
    text = (ROOT / "dbt_project" / "models" / "views" / f"views_{name}.sql").read_text()
    text = text.replace("{{ config(materialized='view') }}", "")
    read = {
        "{{ ref('views_metric_daily') }}": "api.metric_daily",
        "{{ ref('views_user_daily') }}": "api.user_daily",
        "{{ source('ops', 'without_consent') }}": "ops.without_consent",
    }
    for reference, relation in read.items():
        text = text.replace(reference, relation)
    return text


@pytest.fixture
def churn_select() -> Callable[[str], str]:
    return churn_view


@pytest.fixture
def published(warehouse) -> str:
    """The URL of a warehouse with 90 days of published metrics and of people's days, at mark 7."""
    with database.connect() as connection:
        _create(connection)
        _fill_metrics(connection, np.random.default_rng(3))
        _fill_people(connection, np.random.default_rng(4))
        _fill_products(connection, np.random.default_rng(5))
        _create_behaviour(connection)
        _fill_rooms(connection, np.random.default_rng(6))
        marks.set_mark(connection, "views.metric_daily", MARK)
    return warehouse


def _create(connection: psycopg.Connection) -> None:
    connection.execute("""
        create table api.metrics (metric text, unit text, adds_up text);
        create table api.metric_hourly
            (metric text, segment text, hour timestamptz, value numeric, is_final boolean, load_id bigint);
        create table api.metric_daily
            (metric text, segment text, day date, value numeric, is_final boolean, load_id bigint);
        create table api.user_daily
            (user_id text, day date, events bigint, active_hours bigint, sessions bigint, lessons_completed bigint,
             average_score numeric, orders bigint, revenue numeric);
        create table marts.product_daily (day date, product_id text, category text, sold_units numeric);
        """)
    connection.execute("""
        create table api.sellers (seller_id text, transactions_28d numeric, volume_28d numeric, growth_rate numeric,
            failure_rate numeric, largest_customer_rate numeric, customer_concentration numeric,
            repeat_customers numeric, average_settlement_seconds numeric, fair_rating numeric);
        create table api.rooms (room_id text, created_at timestamptz, matched_at timestamptz, as_of timestamptz,
            members numeric, voters numeric, votes numeric, votes_per_member numeric, items numeric, pauses numeric,
            paused_seconds numeric, total_seconds numeric, consensus_strength numeric);
        create table marts.room_openings (room_id text, cutoff_at timestamptz, members bigint,
            seconds_since_joined numeric, seconds_since_started numeric, votes bigint, items bigint,
            votes_per_member numeric, in_favour_rate numeric, votes_against bigint, is_decided boolean);
        """)
    for name in ("churn_features", "churn_labels"):
        connection.execute(f"create view views.{name} as {churn_view(name)}")
    with connection.cursor() as cursor:
        cursor.executemany("insert into api.metrics values (%s, %s, %s)", METRICS)


def _create_behaviour(connection: psycopg.Connection) -> None:
    """What people did with content, lessons and products, as the dbt models have it: empty."""
    connection.execute("""
        create table if not exists intermediate.int_content_uses
            (user_id text, content_id text, hour timestamptz, uses bigint, completions bigint, ratings bigint,
             rating_sum numeric);
        create table if not exists intermediate.int_room_events
            (occurred_at timestamptz, event_type text, room_id text, user_id text, content_id text,
             is_in_favour boolean);
        create table if not exists intermediate.int_order_line_hours
            (user_id text, product_id text, hour timestamptz, sold_units numeric, returned_units numeric);
        create table if not exists marts.lessons (user_id text, lesson_id text, skill text, occurred_at timestamptz);
        create table if not exists marts.content_item_daily (content_id text, category text, day date);
        create table if not exists marts.room_content_daily (content_id text, category text, day date);
        create table if not exists marts.rooms
            (room_id text, category text, created_at timestamptz, matched_at timestamptz, completed_at timestamptz,
             abandoned_at timestamptz);
        create table if not exists marts.room_members (room_id text, user_id text);
        create table if not exists marts.transactions (seller_id text, buyer_id text, created_day date);
        create table if not exists marts.experiment_users
            (user_id text, experiment text, goal text, window_seconds integer, variant text, exposed_at timestamptz,
             conversions bigint, value numeric, value_before numeric);
        create table if not exists marts.product_daily
            (day date, product_id text, category text, sold_units numeric);
        alter table marts.product_daily add views bigint, add price numeric, add gross_revenue numeric;
        create table api.products
            (product_id text, category text, currency text, price numeric, stock numeric, views_28d numeric,
             sold_units_28d numeric);
        create table api.price_history (product_id text, since timestamptz);
        """)


def _fill_metrics(connection: psycopg.Connection, random: np.random.Generator) -> None:
    hours = np.arange(DAYS * 24)
    rhythm = (1 + 0.8 * np.sin(2 * np.pi * (hours % 24 - 8) / 24)) * np.where((hours // 24) % 7 >= 5, 0.6, 1.0)
    values = {
        ("revenue", "all"): random.poisson(40 * rhythm) * 5.0,
        ("orders", "all"): random.poisson(40 * rhythm).astype(float),
        ("active_users", "all"): random.poisson(200 * rhythm).astype(float),
        ("average_score", "all"): random.normal(75, 3, len(hours)),
        **_parts("requests", {"endpoint=/learn": 30 * rhythm, "endpoint=/buy": 12 * rhythm}, random),
        **_parts("content_views", {"category=music": 10 * rhythm, "category=art": 6 * rhythm}, random),
        ("rooms_created", "all"): random.poisson(5 * rhythm).astype(float),
        ("latency_p95_ms", "endpoint=/learn"): 120 * np.exp(random.normal(0, 0.1, len(hours))),
    }
    midnight = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    with connection.cursor() as cursor:
        with cursor.copy("copy api.metric_hourly from stdin") as copy:
            for (metric, segment), series in values.items():
                for hour, value in zip(hours, series, strict=True):
                    if value:
                        copy.write_row((metric, segment, midnight + timedelta(hours=int(hour)), value, True, MARK))
        with cursor.copy("copy api.metric_daily from stdin") as copy:
            for (metric, segment), series in values.items():
                for place, value in enumerate(series.reshape(DAYS, 24).sum(axis=1)):
                    copy.write_row((metric, segment, FIRST_DAY + timedelta(days=place), value, True, MARK))
            copy.write_row(("revenue", "all", FIRST_DAY + timedelta(days=DAYS), 3.0, False, MARK))


def _parts(metric: str, rates: dict[str, np.ndarray], random: np.random.Generator) -> dict:
    """A metric's parts, and the whole that they add up to."""
    parts = {(metric, segment): random.poisson(rate).astype(float) for segment, rate in rates.items()}
    return {**parts, (metric, "all"): sum(parts.values())}


def _fill_products(connection: psycopg.Connection, random: np.random.Generator) -> None:
    """Four products of two categories; one came in the last month, and days without a sale have no row."""
    with connection.cursor() as cursor, cursor.copy("copy marts.product_daily from stdin") as copy:
        for product, (category, rate) in CATALOGUE.items():
            for day in range(DAYS - 30 if product == "new" else 0, DAYS):
                if units := int(random.poisson(rate)):
                    copy.write_row((FIRST_DAY + timedelta(days=day), product, category, units))


def _fill_people(connection: psycopg.Connection, random: np.random.Generator) -> None:
    """People come on a share of days of their own, until a third of them leave for good; leavers fade out first."""
    with connection.cursor() as cursor, cursor.copy("copy api.user_daily from stdin") as copy:
        for person in range(PEOPLE):
            habit = random.beta(2, 4)
            leaves_on = random.integers(10, DAYS) if random.random() < 0.5 else DAYS + 30
            for day in range(DAYS):
                habit_now = habit * (0.4 if day > leaves_on - 10 else 1.0)
                if day < leaves_on and random.random() < habit_now:
                    lessons = int(random.poisson(1.5))
                    score = float(random.normal(75, 8)) if lessons else None
                    orders = int(random.random() < 0.1)
                    row = (1 + random.poisson(6), 1, 1, lessons, score, orders, 20.0 * orders)
                    copy.write_row((f"u{person}", FIRST_DAY + timedelta(days=day), *row))


def _fill_rooms(connection: psycopg.Connection, random: np.random.Generator) -> None:
    """A hundred rooms a week: the more in favour early on, the likelier they match; the last day's are not over."""
    end = datetime.combine(FIRST_DAY + timedelta(days=DAYS), datetime.min.time(), UTC)
    with connection.cursor() as cursor:
        for number in range(1200):
            cutoff_at = end - timedelta(hours=1 + 1.68 * number)
            members, rate = int(random.integers(1, 7)), float(random.random())
            votes = members * int(random.integers(1, 4))
            row = (f"r{number}", cutoff_at, members, 60, 59, votes, 2, votes / members, rate, round(votes * (1 - rate)))
            cursor.execute(f"insert into marts.room_openings values ({', '.join(['%s'] * 10)}, false)", row)
            matched_at = cutoff_at + timedelta(minutes=9) if random.random() < 0.1 + 0.8 * rate else None
            cursor.execute(
                "insert into api.rooms values (%s, %s, %s, %s, %s, %s, %s, %s, 2, 0, 0, 600, 0.5)",
                (
                    f"r{number}",
                    cutoff_at - timedelta(minutes=6),
                    matched_at,
                    end,
                    members,
                    members,
                    votes,
                    votes / members,
                ),
            )
