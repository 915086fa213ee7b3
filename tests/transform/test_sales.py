"""The shop and the marketplace: what the simulator planted is found, and a rate that comes late restates."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.ingest import loader
from orchestration.simulate.simulator import simulate
from tests.transform.events import load

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def event(number: object, at: datetime, kind: str, **properties) -> dict:
    return {"event_id": f"e{number}", "event_type": kind, "occurred_at": at, "user_id": "u", "properties": properties}


def order(number: int, at: datetime, currency: str, price: float) -> dict:
    line = {"product_id": "p", "category": "books", "quantity": 1, "price": price}
    return event(number, at, "order_completed", order_id=f"o{number}", currency=currency, country="DE", products=[line])


def rate(number: object, at: datetime, value: float, currency: str = "USD") -> dict:
    return event(number, at, "exchange_rate_published", currency=currency, base_currency="EUR", rate=value)


def refresh(dbt, high_mark: int) -> None:
    dbt.build("staging marts published", high_mark)


def converted(connection, segment: str = "all") -> dict[date, Decimal]:
    rows = connection.execute(
        "select day, value from api.metric_daily where metric = 'converted_revenue' and segment = %s", [segment]
    ).fetchall()
    connection.rollback()
    return dict(rows)


def test_a_rate_that_comes_late_restates_what_was_converted_with_another(dbt, connection):
    """100 dollars on the 10th at the rate of the 9th, 0.90; then the 10th's own comes, a day late, 0.95."""
    later = [event(f"later{n}", NOON + timedelta(days=n), "page_viewed") for n in range(1, 4)]
    events = [order(1, NOON, "USD", 100), order(2, NOON, "EUR", 7), rate("r9", NOON - timedelta(days=1), 0.9), *later]
    refresh(dbt, load(connection, events))
    assert converted(connection) == {date(2026, 3, 10): Decimal("97.0")}
    refresh(dbt, load(connection, [rate("r10", NOON + timedelta(hours=4), 0.95)]))
    assert converted(connection) == {date(2026, 3, 10): Decimal("102.00")}
    assert converted(connection, "country=DE") == converted(connection, "category=books") == converted(connection)
    restated = connection.execute(
        """select grain, old_value, new_value, cause, load_id from api.restatements
           where metric = 'converted_revenue' and segment = 'all' and grain in ('hour', 'day') order by 1"""
    ).fetchall()
    assert restated == [("day", 97, 102, "late", 2), ("hour", 97, 102, "late", 2)]
    customer = connection.execute("select lifetime_revenue from api.customers").fetchone()
    product = connection.execute("select gross_revenue from marts.product_daily").fetchone()
    assert customer == product == (102,)


def test_money_without_a_rate_is_counted_and_not_added(dbt, connection):
    """5 pounds have no rate, 100 dollars one that is eight days old, and what is quoted in dollars is no use here."""
    quoted = rate("quoted", NOON, 1.3, "GBP")
    quoted["properties"]["base_currency"] = "USD"
    events = [
        order(1, NOON, "GBP", 5), order(2, NOON, "USD", 100), order(3, NOON, "EUR", 7), quoted,
        rate("old", NOON - timedelta(days=8), 0.9),
    ]  # fmt: skip
    refresh(dbt, load(connection, events))
    assert converted(connection) == {date(2026, 3, 10): 7}
    figures = dict(connection.execute("select metric, value from api.metric_daily where segment = 'all'").fetchall())
    assert (figures["unconverted_lines"], figures["revenue"], figures["orders"]) == (2, 7, 3)


def test_what_the_simulator_planted_is_found_and_nothing_else(dbt, warehouse, tmp_path):
    import psycopg

    truth = simulate(tmp_path, start=date(2026, 1, 5), days=45, events=30_000, seed=11)
    loader.ingest("native", [tmp_path])
    with psycopg.connect(warehouse) as connection:
        (newest,) = connection.execute("select max(load_id) from raw.loads").fetchone()
        refresh(dbt, newest)

        def ask(query: str) -> list:
            return connection.execute(query).fetchall()

        assert len(truth.oversold_products) == 3 and len(truth.split_sellers) == 2
        assert ask(
            """select product_id, min(oversold_at) from marts.product_daily
               where oversold_at is not null group by 1 order by 1"""
        ) == [(one.product_id, one.since) for one in truth.oversold_products]
        assert ask("select distinct seller_id from api.transaction_faults where fault = 'split' order by 1") == [
            (seller,) for seller in truth.split_sellers
        ]
        assert ask("select distinct fault from api.transaction_faults order by 1") == [("near_limit",), ("split",)]
        history = ask("select product_id, since, price from api.price_history where since is not null order by 1, 2")
        assert history == [
            (product.product_id, price.since, price.price) for product in truth.products for price in product.prices[1:]
        ]
        created, settled, failed = (truth.events[f"transaction_{state}"] for state in ("created", "settled", "failed"))
        assert ask(
            "select sum(transactions), sum(settled), sum(failed), sum(unaccounted_amount) from api.reconciliation"
        ) == [(created, settled, failed, 0)]
        # The days of the truth are those of UTC; the total is the same wherever they begin.
        assert ask("select sum(value) from api.metric_daily where metric = 'refunds' and segment = 'all'") == [
            (sum(day.refunded for day in truth.days),)
        ]
        assert ask("select sum(revenue), sum(unconverted_lines) from marts.product_daily") == [
            (sum(day.revenue for day in truth.days), 0)
        ]
        orders = sum(day.orders for day in truth.days)
        assert (
            ask("select sum(orders) from api.shop_daily") == ask("select sum(orders) from api.customers") == [(orders,)]
        )


def jaffle_orders(folder: Path, before: str) -> Iterator[tuple[dict, list[dict]]]:
    """Every order up to a day, with its items as lines; as the files have them, money in cents."""

    def read(name: str) -> csv.DictReader:
        return csv.DictReader(gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8"))

    products = {row["sku"]: row for row in read("raw_products")}
    items = defaultdict(Counter)
    for row in read("raw_items"):
        items[row["order_id"]][row["sku"]] += 1
    for row in read("raw_orders"):
        if row["ordered_at"] < before:
            lines = [
                {"product_id": sku, "category": products[sku]["type"], "quantity": count,
                 "price": int(products[sku]["price"]) / 100}
                for sku, count in items[row["id"]].items()
            ]  # fmt: skip
            yield row, lines


@pytest.mark.parametrize("before", ["2018-10-01", pytest.param("2020", marks=pytest.mark.nightly)])
def test_the_jaffle_shop_has_the_totals_of_its_files(dbt, tenant_in, data, tmp_path, before):
    """Revenue by day equals a plain sum over the files; subtotal + tax paid = order total, of every day to the cent."""
    connection = tenant_in("UTC", currency="USD")
    days, people, skus, path = defaultdict(Counter), set(), Counter(), tmp_path / "orders.jsonl"
    with path.open("w") as file:
        for row, lines in jaffle_orders(data / "jaffle-shop", before):
            at, cents = row["ordered_at"], {name: int(row[name]) for name in ("subtotal", "tax_paid", "order_total")}
            assert cents["subtotal"] + cents["tax_paid"] == cents["order_total"]
            told = order(0, datetime.fromisoformat(at).replace(tzinfo=UTC), "USD", 0)
            told |= {"event_id": row["id"], "user_id": row["customer"], "occurred_at": told["occurred_at"].isoformat()}
            told["properties"] |= {"order_id": row["id"], "tax": cents["tax_paid"] / 100, "products": lines}
            file.write(json.dumps(told) + "\n")
            if lines:
                days[at[:10]].update(cents | {"orders": 1})
                people.add(row["customer"])
                skus.update({line["product_id"]: line["quantity"] for line in lines})
    loader.ingest("native", [path])
    refresh(dbt, 1)

    def daily(metric: str) -> dict[str, Decimal]:
        query = "select day::text, value from api.metric_daily where metric = %s and segment = 'all'"
        return dict(connection.execute(query, [metric]).fetchall())

    assert len(days) > 25
    revenue, taxes = daily("revenue"), daily("taxes")
    assert revenue == daily("net_revenue") == daily("converted_revenue")
    assert revenue == {day: Decimal(cents["subtotal"]) / 100 for day, cents in days.items()}
    assert {day: revenue[day] + taxes[day] for day in days} == {
        day: Decimal(cents["order_total"]) / 100 for day, cents in days.items()
    }
    assert daily("orders") == {day: cents["orders"] for day, cents in days.items()}
    counts = "select count(*), sum(orders), sum(lifetime_revenue) from api.customers"
    assert connection.execute(counts).fetchone() == (len(people), sum(daily("orders").values()), sum(revenue.values()))
    assert connection.execute("select sum(new_customers) from api.shop_daily").fetchone() == (len(people),)
    sold = connection.execute("select product_id, sum(sold_units) from marts.product_daily group by 1").fetchall()
    assert dict(sold) == skus
