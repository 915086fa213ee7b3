"""A warehouse as the other stages leave it: ninety days of published figures, a forecast, models, incidents, loads."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

ZONE = ZoneInfo("Europe/Berlin")
LAST = date(2026, 3, 8)  # a Sunday: the newest complete day
OUTAGE = date(2026, 2, 10)
# metric: system, unit, adds_up, good_direction, level, weekend factor, growth over the ninety days, noise, digits
METRICS = {
    "active_users": ("engagement", "count", "distinct", "up", 640, 0.8, 0.25, 0.04, 0),
    "sessions": ("engagement", "count", "sum", "up", 900, 0.8, 0.25, 0.05, 0),
    "events": ("engagement", "count", "sum", "up", 2200, 0.8, 0.3, 0.05, 0),
    "content_views": ("engagement", "count", "sum", "up", 800, 0.85, 0.2, 0.06, 0),
    "lessons_completed": ("learning", "count", "sum", "up", 310, 0.6, 0.35, 0.06, 0),
    "average_score": ("learning", "score", "ratio", "up", 76, 1.0, 0.04, 0.012, 2),
    "learning_seconds": ("learning", "seconds", "sum", "up", 180_000, 0.6, 0.3, 0.06, 0),
    "rooms_created": ("rooms", "count", "sum", "up", 85, 1.5, -0.1, 0.08, 0),
    "rooms_matched": ("rooms", "count", "sum", "up", 58, 1.5, -0.2, 0.1, 0),
    "votes_cast": ("rooms", "count", "sum", "up", 420, 1.5, -0.15, 0.08, 0),
    "orders": ("shop", "count", "distinct", "up", 120, 1.3, 0.4, 0.07, 0),
    "units": ("shop", "count", "sum", "up", 260, 1.3, 0.4, 0.08, 0),
    "revenue": ("shop", "money", "sum", "up", 5200, 1.35, 0.45, 0.07, 2),
    "transactions": ("marketplace", "count", "sum", "up", 75, 1.0, 0.1, 0.08, 0),
    "transaction_volume": ("marketplace", "money", "sum", "up", 3900, 1.0, 0.12, 0.09, 2),
    "requests": ("system", "count", "sum", "up", 5200, 0.8, 0.25, 0.05, 0),
    "error_rate": ("system", "rate", "ratio", "down", 0.0042, 1.0, 0.0, 0.1, 6),
    "latency_p50_ms": ("system", "ms", "percentile", "down", 62, 1.0, 0.02, 0.03, 2),
    "latency_p95_ms": ("system", "ms", "percentile", "down", 212, 1.0, 0.05, 0.05, 2),
}
DDL = """
create table api.metrics (metric text primary key, system text, description text, unit text, adds_up text,
    good_direction text);
create table api.metric_daily (metric text, segment text, day date, value numeric, is_final boolean, load_id bigint,
    primary key (metric, segment, day));
create view api.executive_summary as
    select metric, system, unit, good_direction, 'all' as segment, date '2026-03-08' as as_of_day,
        value_7d, previous_7d, (value_7d - previous_7d) / nullif(previous_7d, 0) as change_rate, value_day, is_final
    from (
        select metrics.*,
            case when adds_up = 'sum' then sum(value) filter (where day > date '2026-03-01')
                 else round(avg(value) filter (where day > date '2026-03-01'), 6) end as value_7d,
            case when adds_up = 'sum' then sum(value) filter (where day <= date '2026-03-01')
                 else round(avg(value) filter (where day <= date '2026-03-01'), 6) end as previous_7d,
            max(value) filter (where day = date '2026-03-08') as value_day,
            bool_and(is_final) as is_final
        from api.metric_daily join api.metrics using (metric)
        where day between date '2026-02-23' and date '2026-03-08' and segment = 'all'
        group by metrics.metric, system, description, unit, adds_up, good_direction
    ) as sums;
"""
LEARNED = """
create view api.forecasts as select * from ml.forecasts;
create view api.anomalies as
    select *, split_part(series_id, '|', 1) as metric,
        coalesce(nullif(split_part(series_id, '|', 2), ''), 'all') as segment
    from ml.anomalies;
create view api.models as select * from ml.models;
"""


@pytest.fixture
def published(warehouse) -> psycopg.Connection:
    """A connection to a warehouse in which everything that an executive summary reads is filled."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        with connection.transaction():
            fill(connection)
        yield connection


def fill(connection: psycopg.Connection) -> None:
    connection.execute("update ops.tenant set name = 'Tidemark Demo', timezone = 'Europe/Berlin', currency = 'EUR'")
    connection.execute(DDL)
    connection.execute(LEARNED)
    _fill_metrics(connection)
    _fill_learned(connection)
    _fill_incidents(connection)
    _fill_loads(connection)


def _fill_metrics(connection: psycopg.Connection) -> None:
    rng = np.random.default_rng(7)
    for metric, (system, unit, adds_up, good, level, weekend, growth, noise, digits) in METRICS.items():
        connection.execute(
            "insert into api.metrics values (%s, %s, %s, %s, %s, %s)",
            [metric, system, f"The {metric}", unit, adds_up, good],
        )
        with connection.cursor().copy("copy api.metric_daily from stdin") as copy:
            for number in range(91):  # the last day has only begun
                day = LAST - timedelta(days=89 - number)
                value = level * (1 + growth * number / 90) * (weekend if day.weekday() >= 5 else 1)
                value *= float(np.exp(rng.normal(0, noise))) * _event(metric, day)
                value *= 0.35 if day > LAST and adds_up in ("sum", "distinct") else 1
                copy.write_row([metric, "all", day, round(Decimal(value), digits), day <= LAST, 12])


def _event(metric: str, day: date) -> float:
    """How much an outage or a quiet day changed a figure."""
    return {("error_rate", date(2026, 3, 5)): 4.2, ("revenue", OUTAGE): 0.35, ("orders", OUTAGE): 0.35}.get(
        (metric, day), 1
    )


def at(day: date, hour: int = 0) -> datetime:
    """An hour of the tenant's clock, in UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZONE).astimezone(UTC)


def _fill_learned(connection: psycopg.Connection) -> None:
    models = {
        "forecast_revenue": ("MASE", "lower", 0.7134, 1.021, "seasonal naive"),
        "anomalies_hourly": ("F1", "higher", 0.9048, 0.5217, "three standard deviations"),
        "churn": ("Brier score", "lower", 0.0912, 0.1524, "days since last seen alone"),
    }
    keys = ("measure", "better", "value", "baseline", "baseline_name")
    for name, measured in models.items():
        metrics = dict(zip(keys, measured, strict=True)) | {"tested_on": "3 windows of 28 days"}
        metrics |= {"coverage": {"80": 0.8131, "95": 0.9412}} if name == "forecast_revenue" else {}
        connection.execute(
            """insert into ml.models
                   (model_id, name, version, stage, metrics, load_id, data_hash, parameters, libraries)
               values (%s, %s, 3, 'serving', %s, 12, 'x', '{}', '{}')""",
            [f"{name}-3", name, Jsonb(metrics)],
        )
    for ahead in range(1, 29):
        day = LAST + timedelta(days=ahead)
        yhat = 7300 * (1.35 if day.weekday() >= 5 else 1) * (1 + 0.002 * ahead)
        spread = 0.06 + 0.002 * ahead
        connection.execute(
            "insert into ml.forecasts values ('revenue', %s, %s, %s, %s, %s, %s, 'forecast_revenue-3', 12)",
            [at(day), yhat, *(yhat * (1 + factor * spread) for factor in (-1.28, 1.28, -1.96, 1.96))],
        )
    anomalies = [
        ("error_rate", at(date(2026, 3, 5), 14), 0.083, 0.99, 0.0042, 0.001, 0.0095),
        ("error_rate", at(date(2026, 3, 5), 15), 0.061, 0.97, 0.0042, 0.001, 0.0095),
        ("revenue", at(OUTAGE, 11), 12.5, 0.95, 410, 220, 640),
        ("revenue|currency=USD", at(date(2026, 3, 6), 20), 1890, 0.91, 210, 40, 620),
        ("rooms_matched", at(date(2026, 3, 7), 21), 1, 0.9, 9.2, 4, 15),
    ]
    for series, moment, value, score, expected, low, high in anomalies:
        connection.execute(
            "insert into ml.anomalies values (%s, %s, %s, %s, true, %s, %s, %s, 'anomalies_hourly-3', 12)",
            [series, moment, value, score, expected, low, high],
        )


def _fill_incidents(connection: psycopg.Connection) -> None:
    incidents = [
        ("errors", "error_rate", "critical", "resolved", at(date(2026, 3, 5), 14), at(date(2026, 3, 5), 17), 0.083,
         "Error rate was 8.30 % in the hour from 14:00, above the limit of 2 %."),
        ("rooms", "rooms_matched", "warning", "open", at(date(2026, 3, 7), 21), None, 1,
         "Rooms matched was 1 in the hour from 21:00, where 4 to 15 was expected."),
        ("shop", "revenue", "warning", "resolved", at(OUTAGE, 11), at(OUTAGE, 23), 12.5,
         "Revenue was EUR 12.50 in the hour from 11:00."),
    ]  # fmt: skip
    for rule, metric, severity, status, opened, resolved, value, detail in incidents:
        connection.execute(
            """insert into ops.incidents
                   (rule, fingerprint, metric, segment, severity, status, opened_hour, resolved_hour, value, detail)
               values (%s, %s, %s, 'all', %s, %s, %s, %s, %s, %s)""",
            [rule, f"{rule}|{metric}|all", metric, severity, status, opened, resolved, value, detail],
        )


def _fill_loads(connection: psycopg.Connection) -> None:
    for load_id in range(1, 13):
        refused = 137 if load_id == 12 else load_id
        connection.execute(
            """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                   suppressed, started_at) values (%s, 'native', %s, %s, %s, %s, 40, %s, 0, now())""",
            [load_id, f"events-{load_id}.jsonl", str(load_id), 16_440 + refused, 16_400, refused],
        )
        connection.execute(
            "insert into raw.touched_hours values (%s, %s)", [load_id, at(LAST - timedelta(days=7 * (12 - load_id)), 9)]
        )
    for position in range(137):
        reason = "unknown_currency" if position < 90 else "bad_time"
        connection.execute(
            """insert into raw.quarantine (load_id, source, locator, position, reason, detail, payload)
               values (12, 'native', 'events-12.jsonl', %s, %s, 'currency is XXX', '{}')""",
            [position + 1, reason],
        )
    for table in ("marts.metric_daily", "views.metric_daily", "views.executive_summary", "gate:marts.metric_daily"):
        connection.execute("insert into ops.tidemarks (table_name, load_id) values (%s, 12)", [table])


@pytest.fixture
def hold(published):
    """Makes the gate of a table fail: `hold(sentence)` holds it back from then on."""
    return lambda sentence="3 rows have a negative price": hold_back(published, sentence)


def hold_back(connection: psycopg.Connection, sentence: str) -> None:
    connection.execute(
        """insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results,
               evaluated_at)
           values ('marts.shop_hourly', 'run', 13, 'failed', 24, 480, %s, '2026-03-09 05:10+00')""",
        [Jsonb([{"says": sentence, "severity": "error", "success": False}])],
    )
