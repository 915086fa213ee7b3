"""A second opinion: DuckDB reads the raw files by itself, and every figure of every metric is the same."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from orchestration.ingest import loader
from orchestration.settings import ROOT
from orchestration.simulate.simulator import simulate

SIMULATED = """
create temp table events as
select distinct on (event_id)
    'native' as source,
    line ->> '$.event_id' as event_id,
    line ->> '$.event_type' as event_type,
    try_cast(line ->> '$.occurred_at' as timestamptz) as occurred_at,
    line ->> '$.user_id' as user_id,
    line -> '$.properties' as properties
from read_json_objects('{files}', format = 'newline_delimited', ignore_errors = true) as lines (line)
where json_type(line) = 'OBJECT' and event_type is not null and user_id is not null
  and occurred_at < current_timestamp + interval 5 minutes
"""

ONLINE_RETAIL = """
create temp table events as
select
    'online-retail' as source,
    filename || row_number() over () as event_id,
    'order_line_recorded' as event_type,
    timezone('Europe/London', InvoiceDate::timestamp) as occurred_at,
    CustomerID::double::bigint::varchar as user_id,
    json_object('order_id', InvoiceNo, 'quantity', Quantity, 'price', UnitPrice, 'currency', 'GBP',
        'country', Country) as properties
from read_csv('{files}', all_varchar = true, filename = true)
"""


def second_opinion(events: str, files: Path, zone: str, currency: str) -> dict[tuple, Decimal]:
    """The value of each (metric, segment, hour or day), from raw files and without PostgreSQL."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set variable zone = ?", [zone])
        connection.execute("set variable currency = ?", [currency])
        connection.execute(events.format(files=files))
        connection.execute((ROOT / "benchmarks" / "metrics.sql").read_text())
        query = "select metric, segment, coalesce(epoch(hour)::bigint::varchar, day::varchar), value from metrics"
        return {tuple(key): significant(key[0], value) for *key, value in connection.execute(query).fetchall()}


def published(connection: psycopg.Connection) -> dict[tuple, Decimal]:
    query = """
        select metric, segment, extract(epoch from hour)::bigint::text, value from api.metric_hourly
        union all
        select metric, segment, day::text, value from api.metric_daily"""
    found = connection.execute(query).fetchall()
    connection.rollback()
    return {tuple(key): significant(key[0], value) for *key, value in found}


def significant(metric: str, value: Decimal | str) -> Decimal:
    """A number, or a fraction as text, to the digits that are the same wherever it is computed.

    All 15 that a double holds; of a percentile 12, for it lies between two doubles, and the last digits depend on how.
    """
    numerator, _, denominator = str(value).partition("/")
    digits = 12 if metric.startswith("latency") else 15
    return Decimal(f"{Decimal(numerator) / Decimal(denominator or 1):.{digits - 1}e}").normalize()


def compare(dbt, connection: psycopg.Connection, second: dict[tuple, Decimal]) -> dict[tuple, Decimal]:
    (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
    connection.rollback()
    dbt.build("staging marts published", newest)
    first = published(connection)
    catalogue = {metric for (metric,) in connection.execute("select metric from api.metrics")}
    connection.rollback()
    metrics = {metric for metric, *_ in second}
    first = {key: value for key, value in first.items() if key[0] in metrics}
    differing = {key: (first.get(key), second.get(key)) for key in first | second if first.get(key) != second.get(key)}
    assert dict(list(differing.items())[:10]) == {}
    assert metrics <= catalogue
    return first


@pytest.mark.parametrize("zone", ["Europe/Berlin", pytest.param("Australia/Lord_Howe", marks=pytest.mark.nightly)])
def test_every_metric_of_the_simulator_is_what_duckdb_says(dbt, tenant_in, tmp_path, zone):
    connection = tenant_in(zone)
    folder = tmp_path / "events"
    simulate(folder, start=date(2025, 3, 20), days=21, events=12_000, seed=3, late_rate=0.1, broken_rate=0.01)
    loader.ingest("native", [folder])
    compared = compare(dbt, connection, second_opinion(SIMULATED, folder / "*.jsonl", zone, "EUR"))
    assert {metric for metric, *_ in compared} == {m for (m,) in connection.execute("select metric from api.metrics")}
    assert len(compared) > 15_000


@pytest.mark.parametrize("pattern", ["2011-03-2*", pytest.param("*", marks=pytest.mark.nightly)])
def test_every_metric_of_online_retail_is_what_duckdb_says(dbt, tenant_in, data, pattern):
    connection = tenant_in("Europe/London", currency="GBP")
    files = data / "online-retail" / "by-day" / f"{pattern}.csv.gz"
    loader.ingest("online-retail", sorted(files.parent.glob(files.name)))
    compared = compare(dbt, connection, second_opinion(ONLINE_RETAIL, files, "Europe/London", "GBP"))
    assert {metric for metric, *_ in compared} == {
        *("revenue", "orders", "units", "active_users", "sessions", "events", "gross_revenue", "refunds", "discounts"),
        *("net_revenue", "taxes", "average_order_value", "converted_revenue", "unconverted_lines", "sold_units"),
        *("returned_units", "average_session_seconds", "actions_per_session"),
    }
