"""A PostgreSQL table as a source, in a real second database: late commits, ties, crashes, what is wrong with it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from orchestration.errors import TidemarkError
from orchestration.ingest.loader import NotAllLoaded, ingest, reach, standing_failures
from orchestration.ingest.sources import postgres as postgres_source
from orchestration.settings import sources
from orchestration.warehouse import database
from tests.ingest.conftest import ROOT

CONFIG = """
sources:
  orders:
    user_id: optional
    postgres:
      url: ${ORDERS_DB_URL}
      table: shop.orders
      cursor: %s
      key: [id]
      overlap: %s
"""
BY_TIME, BY_NUMBER = CONFIG % ("updated_at", "PT1H"), CONFIG % ("id", "100")


@pytest.fixture
def shop(postgres, warehouse, configure, monkeypatch):
    """A connection to the database of a shop, whose table `shop.orders` is the source `orders`."""
    url = database._database(postgres, "shop")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("drop database if exists shop with (force)")
        connection.execute("create database shop")
    monkeypatch.setenv("ORDERS_DB_URL", url)
    configure(BY_TIME)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """create schema shop;
               create table shop.orders (
                   id bigint generated always as identity primary key,
                   event_id text, event_type text default 'order_placed', user_id text, amount numeric(12, 2),
                   note json, occurred_at timestamptz default now() - interval '1 day',
                   updated_at timestamptz default now())"""
        )
        yield connection


def sell(shop, *names: str, ago: str = "0 s", **columns) -> None:
    extra = "".join(f", {name}" for name in columns)
    for name in names:
        shop.execute(
            f"""insert into shop.orders (event_id, updated_at{extra})
                values (%s, now() - %s::interval{", %s" * len(columns)})""",
            [name, ago, *columns.values()],
        )


def stored(query) -> list[str]:
    return [name for (name,) in query("select event_id from raw.events order by event_id")]


def test_it_is_reached_where_the_table_has_the_columns_of_its_order(shop):
    assert reach("orders") == "shop.orders answers"
    shop.execute("alter table shop.orders drop column updated_at")
    with pytest.raises(TidemarkError, match="no column 'updated_at'"):
        reach("orders")


def test_rows_become_events_with_every_digit_and_only_new_ones_are_loaded(shop, query):
    note = '{"a":\n 1.10, "text": "two\\nlines"}'
    sell(shop, "a", ago="3 h", amount="2.50", note=note)
    (load,) = ingest("orders")
    assert (load.received, load.loaded, load.locator) == (1, 1, "postgres:shop.orders")
    ((properties,),) = query("select properties::text from raw.events")
    assert '"amount": 2.50' in properties and json.loads(properties)["note"] == json.loads(note)
    sell(shop, "b", "c")
    assert [(load.received, load.loaded) for load in ingest("orders")] == [(3, 2)]  # the last hour is read again
    assert [(load.received, load.loaded) for load in ingest("orders")] == [(2, 0)]  # `a` is older than that by now
    (again,) = ingest("orders")
    assert again.is_repeat
    assert query("select count(*) from raw.loads") == [(3,)]


def test_a_long_transaction_that_commits_behind_the_cursor_is_found(shop, query, monkeypatch):
    sell(shop, "before", ago="40 min")
    with psycopg.connect(os.environ["ORDERS_DB_URL"]) as long:
        long.execute("insert into shop.orders (event_id, updated_at) values ('late', now() - interval '20 min')")
        with long.transaction():  # a savepoint too
            long.execute("insert into shop.orders (event_id, updated_at) values ('later', now() - interval '10 min')")
        sell(shop, "after")
        ingest("orders")
        assert stored(query) == ["after", "before"]
        long.commit()
    (load,) = ingest("orders")
    assert (load.received, load.loaded, load.duplicate) == (4, 2, 2)
    assert stored(query) == ["after", "before", "late", "later"]


def test_numbers_that_are_committed_out_of_order_are_found(shop, query, configure):
    configure(BY_NUMBER)
    with psycopg.connect(os.environ["ORDERS_DB_URL"]) as long:
        long.execute("insert into shop.orders (event_id) values ('late')")  # takes the number 1
        sell(shop, "b", "c")
        ingest("orders")
        long.commit()
    ingest("orders")
    assert stored(query) == ["b", "c", "late"]


def test_rows_of_one_moment_are_not_lost_between_pages(shop, query, monkeypatch):
    monkeypatch.setattr(postgres_source, "LOAD_ROWS", 3)
    shop.execute(
        """insert into shop.orders (event_id, updated_at)
           select 'e' || n, '2026-03-01'::timestamptz + (n / 5) * interval '1 microsecond'
           from generate_series(1, 20) n"""
    )
    loads = ingest("orders")
    assert [load.received for load in loads] == [3] * 6 + [2]
    assert len(stored(query)) == 20
    assert ingest("orders")[-1].is_repeat


def test_a_load_is_bounded_by_its_bytes(shop, query, monkeypatch):
    monkeypatch.setattr(postgres_source, "LOAD_BYTES", 50_000)
    monkeypatch.setattr(postgres_source, "FETCH_ROWS", 1)
    sell(shop, *(f"e{n}" for n in range(6)), note=json.dumps("x" * 20_000))
    assert [load.received for load in ingest("orders")] == [3, 3]


def test_only_what_was_there_at_the_start_and_no_time_to_come_moves_the_cursor(shop, query):
    sell(shop, "now")
    sell(shop, "tomorrow", ago="-1 day")
    shop.execute("insert into shop.orders (event_id, updated_at) values ('never', '-infinity')")
    ingest("orders")
    assert stored(query) == ["never", "now"]
    sell(shop, "next")
    ingest("orders")
    assert stored(query) == ["never", "next", "now"]


def test_a_local_time_is_compared_with_the_clock_of_its_zone(shop, query, configure):
    shop.execute("alter table shop.orders alter updated_at type timestamp using updated_at at time zone 'Asia/Tokyo'")
    configure(BY_TIME.replace("user_id:", "timezone: Asia/Tokyo\n    user_id:"))
    shop.execute(
        "insert into shop.orders (event_id, updated_at) values ('a', now() at time zone 'Asia/Tokyo' - interval '1 s')"
    )
    ingest("orders")
    assert stored(query) == ["a"]


def test_a_row_without_an_id_of_its_own_is_quarantined(shop, query):
    sell(shop, None)
    (load,) = ingest("orders")
    assert (load.loaded, load.quarantined) == (0, 1)
    assert query("select detail from raw.quarantine") == [("event_id: is missing or empty",)]


@pytest.mark.parametrize("column", ["updated_at = null", "updated_at = 'infinity'"])
def test_a_row_without_a_place_in_the_order_is_told_and_the_others_are_loaded(shop, query, column):
    sell(shop, "a", "b")
    shop.execute(f"update shop.orders set {column} where event_id = 'b'")
    with pytest.raises(NotAllLoaded, match="rows without a value in updated_at, id are not read"):
        ingest("orders")
    assert stored(query) == ["a"]


KILLED = """
import os, signal, sys
from orchestration.ingest import loader
from orchestration.ingest.sources import postgres

postgres.LOAD_ROWS = 7
true, calls = loader._move_cursor, 0

def killed(*arguments):
    global calls
    calls += 1
    true(*arguments)
    if calls == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

loader._move_cursor = killed
loader.ingest("orders")
"""


def test_a_killed_reader_goes_on_where_it_was(shop, query, monkeypatch):
    sell(shop, *(f"e{n:02}" for n in range(40)), ago="5 h")
    for call in (1, 3):
        process = subprocess.run([sys.executable, "-c", KILLED, str(call)], cwd=ROOT, capture_output=True)
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert len(stored(query)) == 14  # what was committed before the second kill; the overlap is read again
    shop.execute("select pg_sleep(0.1)")
    monkeypatch.setattr(postgres_source, "LOAD_ROWS", 7)
    ingest("orders")
    assert stored(query) == [f"e{n:02}" for n in range(40)]
    assert query("select sum(loaded) from raw.loads") == [(40,)]


def test_the_source_is_only_read(shop):
    sell(shop, "a")
    shop.execute(
        "create function shop.vandal() returns text language sql as $$ delete from shop.orders returning '' $$"
    )
    shop.execute("create view shop.evil as select o.*, shop.vandal() from shop.orders o")
    folder = Path(os.environ["TIDEMARK_CONFIG"]) / "sources.yml"
    folder.write_text(folder.read_text().replace("shop.orders", "shop.evil"))
    with pytest.raises(NotAllLoaded, match="cannot execute DELETE in a read-only transaction"):
        ingest("orders")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("table: shop.orders", "table: shop.sales", "there is no table shop.sales"),
        ("cursor: updated_at", "cursor: changed_at", "has no column 'changed_at', but id, event_id"),
        ("cursor: updated_at", "cursor: event_id", "the cursor 'event_id' is text: give a time or a number"),
        ("overlap: PT1H", "overlap: 100", "give an overlap such as PT1H"),
        ("cursor: updated_at", "cursor: id", "give an overlap such as 1000"),
    ],
)
def test_a_wrong_configuration_is_said(shop, configure, old, new, said):
    sell(shop, "a")
    configure(BY_TIME.replace(old, new))
    with pytest.raises(NotAllLoaded, match=said):
        ingest("orders")


def test_a_database_that_does_not_answer_is_said_without_its_password(shop, monkeypatch, caplog):
    monkeypatch.setenv("ORDERS_DB_URL", "postgresql://someone:quite-secret@127.0.0.1:9/shop")
    with pytest.raises(NotAllLoaded, match=r"Source 'orders': shop.orders cannot be read \(.*refused"):
        ingest("orders")
    monkeypatch.setenv("ORDERS_DB_URL", "mysql://someone:quite-secret@127.0.0.1:9/shop")
    with pytest.raises(NotAllLoaded, match="its url is not that of a PostgreSQL") as caught:
        ingest("orders")
    with database.connect() as connection:
        told = str(standing_failures(connection))
    assert "quite-secret" not in told + caplog.text + str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("postgres: {url: 'postgresql://me:pw@h/d', table: t, cursor: c, key: [k]}", "a password does not stand in"),
        ("postgres: {url: '${U}', table: t, cursor: c, key: []}", "at least 1 item"),
        ("{path: in, postgres: {url: '${U}', table: t, cursor: c, key: [k]}}", "path and postgres: a source is of one"),
        ("{format: csv, mapping: {event_type: a, occurred_at: b}, postgres: {url: u, table: t, cursor: c, key: [k]}}",
         "records of postgres are JSON, not csv"),
        ("{format: json, mapping: {event_type: a, occurred_at: b}, postgres: {url: u, table: t, cursor: c, key: [k]}}",
         "name their event_id"),
        ("every: PT1M", "`every` needs something to read"),
    ],
)  # fmt: skip
def test_what_a_source_may_not_say(configure, yaml, said):
    configure(f"sources:\n  orders:\n    {yaml}" if not yaml.startswith("{") else f"sources:\n  orders: {yaml}")
    with pytest.raises(TidemarkError, match=r"sources.yml:\d+ .*" + said):
        sources()
