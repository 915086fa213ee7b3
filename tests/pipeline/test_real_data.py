"""Real data through the ready sources: its published totals stand in every layer, and every gate passes."""

import csv
import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner

from orchestration.cli import tidemark
from orchestration.settings import ROOT
from orchestration.warehouse import database


def ingest(source: str, path) -> dict:
    result = CliRunner().invoke(tidemark, ["ingest", source, str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    loads = json.loads(result.stdout)["loads"]
    fresh = [load for load in loads if not load["is_repeat"]]
    return {count: sum(load[count] for load in fresh) for count in ("received", "loaded", "duplicate", "quarantined")}


def judge_all(schemas: tuple[str, ...]) -> dict[str, str]:
    """The verdict of each gate on the tables of these schemas, over everything that is there."""
    from expectations import suites
    from orchestration.gates.gates import judge

    verdicts = {}
    with database.connect() as connection:
        for table, suite in suites().items():
            if table.split(".")[0] in schemas:
                result = judge(connection, suite, "test")
                verdicts[table] = result.status if result else "nothing"
    return verdicts


@pytest.fixture
def ask(warehouse):
    def ask(query: str):
        with database.connect() as connection:
            return connection.execute(query).fetchone()

    return ask


def test_online_retail_has_its_published_totals_in_every_layer(dbt, data, ask):
    assert ingest("online-retail", data / "online-retail" / "by-day") == {
        "received": 541_909,
        "loaded": 541_909,
        "duplicate": 0,
        "quarantined": 0,
    }
    dbt.build("staging marts published", 305)
    assert ask("select count(distinct user_id) from staging.stg_order_lines") == (4_372,)
    assert ask("select count(distinct order_id), sum(lines) from intermediate.int_order_hours") == (25_900, 541_909)
    for query in (
        "select sum(amount) from staging.stg_order_lines",
        "select sum(revenue) from marts.shop_hourly where currency = 'GBP'",
        "select sum(gross_revenue - refunds) from marts.sales_hourly where currency = 'GBP'",
        "select sum(value) from api.metric_daily where metric = 'revenue' and segment = 'currency=GBP'",
    ):
        assert round(ask(query)[0], 2) == Decimal("9747747.93")
    # Of the 4,372 customers, 33 only ever returned something; the others placed 18,536 orders.
    assert ask("select count(*), sum(orders) from api.customers where orders > 0") == (4_339, 18_536)
    assert ask("select sum(new_customers) from api.shop_daily") == (4_339,)
    # The tenant counts in euros, and nobody told what a pound is worth: nothing is converted, and that is said.
    assert ask("select sum(lines), sum(unconverted_lines), sum(converted_revenue) from marts.sales_hourly") == (
        541_909, 541_909, None,
    )  # fmt: skip
    verdicts = judge_all(("raw", "staging", "marts"))
    assert "failed" not in verdicts.values(), verdicts
    again = ingest("online-retail", data / "online-retail" / "by-day")
    assert again == {"received": 0, "loaded": 0, "duplicate": 0, "quarantined": 0}


def test_the_moodle_log_has_its_published_totals(dbt, data, ask):
    assert ingest("moodle-la-course", data / "moodle-la-course" / "Events.csv.gz")["loaded"] == 95_626
    dbt.build("staging marts published", 1)
    query = "select count(*), count(distinct user_id), count(distinct event_type) from staging.stg_events"
    assert ask(query) == (95_626, 130, 27)
    # The log's first line is of 14:08:01 in Finland, which was three hours ahead of UTC.
    assert ask("select min(occurred_at)::text from raw.events") == ("2019-09-09 11:08:01+00",)
    assert ask("select sum(events), count(distinct user_id) from marts.user_daily") == (95_626, 130)
    assert ask("select sum(actions), count(distinct user_id) from marts.sessions") == (95_626, 130)
    new = "select count(*) from marts.user_states where grain = 'month' and state = 'new'"
    assert ask(new) == (130,)
    assert ask("select min(retention_rate) >= 0, max(retention_rate) from api.retention") == (True, 1)
    days = "select count(*) from marts.user_states where grain = 'day' and state <> 'dormant'"
    assert ask(days) == ask("select count(*) from marts.user_daily")
    verdicts = judge_all(("raw", "staging", "marts"))
    assert "failed" not in verdicts.values(), verdicts


FLOWER_SHOP = """
sources:
  flower-shop:
    format: csv
    timezone: UTC
    mapping:
      event_id: event_id
      event_type: {column: event_name, slug: true}
      occurred_at: {column: event_time, format: epoch_milliseconds}
      user_id: customer_id
"""
FLOWER_FUNNEL = """
funnels:
  flowers:
    within: PT24H
    steps: [{event_type: add_to_cart}, {event_type: go_to_checkout}, {event_type: place_order}]
"""


def flower_entries(path) -> list[int]:
    """How many entries of a person and a day reached each step, counted in plain Python."""
    steps = ["add_to_cart", "go_to_checkout", "place_order"]
    told: dict[str, list] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            moment = datetime.fromtimestamp(int(row["event_time"]) / 1000, UTC)
            told.setdefault(row["customer_id"], []).append((moment, row["event_name"]))
    reached = [0, 0, 0]
    for events in told.values():
        firsts: dict = {}
        for moment, name in sorted(events):
            if name == steps[0]:
                firsts.setdefault(moment.date(), moment)
        for entry in firsts.values():
            reached[0] += 1
            since = entry
            for number, step in enumerate(steps[1:], 1):
                later = [m for m, name in events if name == step and since <= m <= entry + timedelta(days=1)]
                if not later:
                    break
                since = min(later)
                reached[number] += 1
    return reached


def test_the_flower_shop_has_its_published_totals_and_a_funnel(dbt, data, ask, tmp_path, monkeypatch):
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    (config / "sources.yml").write_text(FLOWER_SHOP)
    (config / "funnels.yml").write_text(FLOWER_FUNNEL)
    (config / "tenant.yml").write_text("name: Flowers\ntimezone: UTC\ncurrency: USD\n")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))
    path = data / "moms-flower-shop" / "raw_inapp_events.csv.gz"
    assert ingest("flower-shop", path)["loaded"] == 16_000
    dbt.build("staging marts published", 1)
    types = (
        "select jsonb_object_agg(event_type, n) from (select event_type, count(*) as n from raw.events group by 1) as t"
    )
    assert ask(types)[0] == {"add_to_cart": 8_736, "go_to_checkout": 3_732, "place_order": 2_960, "install": 572}
    steps = (
        "select array_agg(n order by step) from (select step, count(*) as n from marts.funnel_steps group by 1) as t"
    )
    assert ask(steps)[0] == flower_entries(path)
    assert ask("select sum(events), count(distinct user_id) from marts.user_daily")[0] == 16_000
