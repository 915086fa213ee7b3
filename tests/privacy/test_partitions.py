"""A question about a week reads the partitions of that week, and the planner knows what is in them."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from orchestration.ingest import loader
from orchestration.warehouse import database, partitions

FIRST, DAYS = date(2025, 3, 1), 30
WEEK = "occurred_at >= '2025-03-10' and occurred_at < '2025-03-17'"
OF_WEEK = {partitions.name_of(date(2025, 3, day)) for day in range(10, 17)}


@pytest.fixture
def month(warehouse, tmp_path):
    """A month of 20 events a day, analyzed."""
    begin = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    events = [
        {
            "event_id": f"e{number}",
            "event_type": "lesson_completed",
            "occurred_at": (begin + timedelta(days=number % DAYS, hours=number % 24)).isoformat(),
            "user_id": f"u{number % 7}",
            "properties": {"skill": "a", "score": 5},
        }
        for number in range(20 * DAYS)
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    loader.ingest("native", [path])
    with database.connect() as connection:
        connection.execute("analyze raw.events")
        yield connection


def touched(connection, query: str, *values) -> set[str]:
    """The partitions of raw.events that the query really reads."""
    (plan,) = connection.execute(f"explain (analyze, timing off, format json) {query}", values or None).fetchone()

    def nodes(node: dict):
        yield node
        for child in node.get("Plans", []):
            yield from nodes(child)

    return {
        node["Relation Name"]
        for node in nodes(plan[0]["Plan"])
        if re.fullmatch(r"events_\d{8}", node.get("Relation Name", "")) and node["Actual Loops"] > 0
    }


def test_a_week_of_raw_events_is_seven_partitions(month):
    assert touched(month, f"select count(*) from raw.events where {WEEK}") == OF_WEEK


def test_a_week_of_a_plan_made_for_any_week_is_seven_partitions(month):
    month.execute("set plan_cache_mode = force_generic_plan")
    month.execute(
        "prepare week (timestamptz, timestamptz) as "
        "select count(*) from raw.events where occurred_at >= $1 and occurred_at < $2"
    )
    assert touched(month, "execute week ('2025-03-10', '2025-03-17')") == OF_WEEK


def test_a_week_of_staging_is_seven_partitions(dbt, month):
    dbt.build("staging", 1)
    for view in ("stg_events", "stg_lessons", "stg_order_lines"):
        assert touched(month, f"select count(*) from staging.{view} where {WEEK}") == OF_WEEK


def test_building_an_hour_reads_the_partitions_of_its_day(dbt, month):
    """The SELECT of every hourly model over raw events, as its build runs it after a load that touched one hour."""
    dbt.build("staging marts", 1)
    month.execute("insert into raw.loads select 2, 'x', 'x', 'x', 0, 0, 0, 0, 0, newest_at, now() from raw.loads")
    month.execute("insert into raw.touched_hours values (2, '2025-03-12 10:00+00')")
    month.execute("set tidemark.after = '1'; set tidemark.up_to = '2'")
    nodes = dbt.nodes().values()
    models = [
        node
        for node in nodes
        if node.get("config", {}).get("materialized") == "tide"
        and any(".stg_" in parent for parent in node["depends_on"]["nodes"])
        and "fast" not in node["config"]["meta"]["layer"]
    ]
    assert len(models) > 5
    around = {partitions.name_of(date(2025, 3, day)) for day in (11, 12)}
    compiled = dbt.run(["compile", "--select", *(node["name"] for node in models)])
    read = {result.node.name: touched(month, result.node.compiled_code) for result in compiled}
    assert {name: days - around for name, days in read.items() if days - around} == {}
    assert set().union(*read.values()) >= {partitions.name_of(date(2025, 3, 12))}


def test_a_week_of_published_figures_reads_no_raw_events(dbt, month):
    dbt.build("staging marts published", 1)
    for query in (
        "select * from api.metric_hourly where hour >= '2025-03-10' and hour < '2025-03-17'",
        "select * from api.metric_daily where day >= '2025-03-10' and day < '2025-03-17'",
        "select * from api.user_daily where user_id = 'u1'",
        "select * from api.executive_summary",
    ):
        assert touched(month, query) == set()


def test_partitions_that_were_filled_are_analyzed_once(warehouse, tmp_path):
    with database.connect(autocommit=True) as connection:
        partitions.ensure(connection, [FIRST])
        connection.execute(
            """insert into raw.events
               select 'native', 'e' || n, 'page_viewed', '2025-03-01 00:00+00', now(), 'u', null, '{}', 1
               from generate_series(1, 3000) n"""
        )
        connection.execute("select pg_stat_force_next_flush()")
        assert partitions.analyze(connection) == 1
        assert connection.execute("select reltuples from pg_class where relname = 'events_20250301'").fetchone() == (
            3000,
        )
        connection.execute("select pg_stat_force_next_flush()")
        assert partitions.analyze(connection) == 0
