"""Random histories of many cases side by side: what happened, how it arrived, and what must stand in the end."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from orchestration.ingest import loader
from orchestration.warehouse import marks

KINDS = {
    "page_viewed": lambda rng: {"path": "/"},
    "content_viewed": lambda rng: {"content_id": "c1", "category": rng.choice("xyz")},
    "content_completed": lambda rng: {"content_id": "c1", "category": rng.choice("xy"), "duration_seconds": 9},
    "lesson_completed": lambda rng: {
        "skill": rng.choice("ab"),
        "score": rng.choice([0, 33.3, 71, 100]),
        "duration_seconds": rng.randint(0, 900),
        "timezone": rng.choice(["Asia/Tokyo", "America/New_York", "Nowhere/Land", None]),
        "class_id": rng.choice(["k1", "k2", None]),
    },
    "lesson_started": lambda rng: {"skill": rng.choice("ab")},
    "order_completed": lambda rng: {
        "order_id": f"o{rng.randrange(40)}",  # also orders that are told twice
        "currency": rng.choice(["EUR", "USD"]),
        "discount": rng.choice([0, 1.5]),
        "tax": rng.randint(0, 99) / 100,
        "products": [
            {"product_id": rng.choice("pq"), "quantity": rng.randint(1, 3), "price": rng.randint(1, 9999) / 100}
            for _ in range(rng.randrange(3))
        ],
    },
    "order_refunded": lambda rng: {
        "order_id": f"o{rng.randrange(40)}",
        "currency": "EUR",
        "products": [{"product_id": "p", "quantity": 1, "price": rng.randint(1, 9999) / 100}],
    },
    "request_served": lambda rng: {
        "endpoint": rng.choice(["/a", "/b"]),
        "status": rng.choice([200, 404, 503]),
        "latency_ms": round(rng.expovariate(0.01), 3),
    },
    "content_rated": lambda rng: {"content_id": "c1", "category": "x", "rating": rng.randint(1, 5)},
    "room_created": lambda rng: {"room_id": f"r{rng.randrange(30)}", "category": rng.choice("xy")},
    "room_joined": lambda rng: {"room_id": f"r{rng.randrange(30)}"},
    "room_paused": lambda rng: {"room_id": f"r{rng.randrange(30)}"},
    "vote_cast": lambda rng: {
        "room_id": f"r{rng.randrange(30)}",
        "content_id": rng.choice(["c1", "c2"]),
        "category": "x",
        "is_in_favour": rng.random() < 0.6,
    },
    "room_matched": lambda rng: {"room_id": f"r{rng.randrange(30)}", "content_id": "c1", "category": "x"},
    "room_completed": lambda rng: {"room_id": f"r{rng.randrange(30)}"},
    **{
        kind: lambda rng: {
            "product_id": rng.choice("pq"),
            "category": rng.choice("xy"),
            "price": rng.randint(1, 9999) / 100,
            "currency": rng.choice(["EUR", "USD"]),
            "quantity": rng.randint(-3, 30),
            "competitor": rng.choice("kl"),
        }
        for kind in (
            "product_viewed",
            "product_added",
            "checkout_started",
            "stock_changed",
            "price_changed",
            "competitor_price_observed",
        )
    },
    "exchange_rate_published": lambda rng: {
        "currency": "USD",
        "base_currency": rng.choice(["EUR", "GBP"]),
        "rate": rng.randint(8000, 12000) / 10000,
    },
    **{
        kind: lambda rng: {  # few ids, so that states come together, and apart
            "transaction_id": f"t{rng.randrange(60)}",
            "seller_id": rng.choice("rs"),
            "amount": rng.choice([5.25, 950]),
            "fee": 0.5,
            "currency": rng.choice(["EUR", "EUR", "USD"]),
            "sequence": rng.randrange(9),
        }
        for kind in ("transaction_created", "transaction_settled", "transaction_failed")
    },
    "seller_rated": lambda rng: {"seller_id": rng.choice("rs"), "rating": rng.randint(1, 5)},
    "something_else": lambda rng: {},
}
VOIDING = "statement_voided"


@dataclass
class Case:
    """One case: the events of a few people on a day of their own, how they arrive, and who is erased when."""

    events: list[dict]
    arrivals: list[tuple[int, dict]] = field(default_factory=list)  # (round, event), repeats among them
    erasures: list[tuple[int, str]] = field(default_factory=list)  # (round, user_id), after the round's loads


def case(rng: random.Random, number: int, day: date, far: datetime, zone: ZoneInfo, rounds: int) -> Case:
    """A case whose people are active on `day`, and once in the hour of `far`, 400 days before.

    Somebody voids a few of the events, and in vain a voiding one. They arrive in an order, with delays and repeats of
    its own: all at once, evenly, mostly late, or in order of time but for one straggler.
    """
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    people = [f"u{number}-{name}" for name in "abc"]
    moments = [midnight + timedelta(seconds=rng.randrange(86_400)) for _ in range(rng.randrange(8, 24))]
    moments += [moment + timedelta(minutes=rng.choice([5, 29, 30, 31])) for moment in rng.sample(moments, 5)]
    moments.append(far + timedelta(seconds=rng.randrange(3600)))
    events = [
        {
            "event_id": f"e{number}-{index}",
            "event_type": kind,
            "occurred_at": moment.isoformat(),
            "user_id": rng.choice(people),
            "properties": KINDS[kind](rng),
        }
        for index, moment in enumerate(moments)
        for kind in [rng.choice(list(KINDS))]
    ]
    events += [
        {
            "event_id": f"v{number}-{index}",
            "event_type": VOIDING,
            "occurred_at": (midnight + timedelta(seconds=rng.randrange(80_000))).isoformat(),
            "user_id": f"u{number}-d",
            "properties": {"statement_id": target},
        }
        for index, target in enumerate([*(event["event_id"] for event in rng.sample(events, 2)), f"v{number}-0"])
    ]
    habit = rng.choice(["at once", "evenly", "late", "straggler"])
    only = rng.randrange(rounds)
    when = {
        "at once": lambda index: only,
        "evenly": lambda index: rng.randrange(rounds),
        "late": lambda index: rounds - 1 - min(rng.randrange(rounds), rng.randrange(rounds)),
        "straggler": lambda index: rounds - 1 if index == 0 else index * (rounds - 1) // len(events),
    }[habit]
    arrivals = [(when(index), event) for index, event in enumerate(events)]
    arrivals += [(rng.randrange(rounds), event) for event in rng.choices(events, k=rng.randrange(6))]
    erasures = [(rng.randrange(rounds), rng.choice(people)) for _ in range(rng.randrange(3))]
    return Case(events, arrivals, erasures)


def survivors(cases: Iterable[Case], rounds: int) -> dict[str, dict]:
    """The events that must stand in the end, by id: each once, unless its person was erased after it first came."""
    standing, known = {}, set()
    for case in cases:
        for number in range(rounds):
            for event in (event for when, event in case.arrivals if when == number):
                if event["event_id"] not in known:
                    standing[event["event_id"]] = event
                    known.add(event["event_id"])
            gone = {user for when, user in case.erasures if when == number}
            standing = {name: event for name, event in standing.items() if event["user_id"] not in gone}
    return standing


def counting(standing: dict[str, dict]) -> list[dict]:
    """Those of the events that stand that count: the others are voided."""
    voided = {event["properties"]["statement_id"] for event in standing.values() if event["event_type"] == VOIDING}
    return [event for name, event in standing.items() if name not in voided or event["event_type"] == VOIDING]


def ingest(folder: Path, loads: list[list[dict]]) -> None:
    """Load each list of events as a file of its own, as a data engineer would."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for events in loads:
        path = folder / f"{len(list(folder.iterdir()))}.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        paths.append(path)
    loader.ingest("native", paths)


def erase(connection: psycopg.Connection, user_id: str) -> None:
    """Remove a person's events and have their hours computed again, in one transaction."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [marks.LOAD_LOCK])
        (load_id,) = connection.execute(
            """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                      suppressed, started_at, cause)
               values (nextval('raw.load_ids'), 'erasure', %s, '', 0, 0, 0, 0, 0, clock_timestamp(), 'erasure')
               returning load_id""",
            [user_id],
        ).fetchone()
        connection.execute(
            """insert into raw.touched_hours
               select distinct %s::bigint, ops.hour_of(occurred_at, ops.timezone())
               from raw.events where user_id = %s""",
            [load_id, user_id],
        )
        connection.execute(
            """insert into raw.touched_minutes
               select distinct %s::bigint, date_trunc('minute', occurred_at) from raw.events
               where user_id = %s and occurred_at > (select max(newest_at) from raw.loads) - interval '2 days'""",
            [load_id, user_id],
        )
        connection.execute("delete from raw.events where user_id = %s", [user_id])


# What says when, from which load or why a row was built, and so differs between two histories of the same events.
STAMPS = ("load_id", "built_at")
HISTORIES = ("marts.restatements", "views.restatements")


def built_tables(connection: psycopg.Connection) -> list[str]:
    """The tables and materialized views that dbt built, with their tallies, but for those that tell a history."""
    query = """
        select oid::regclass::text from pg_class
        where relkind in ('r', 'm') and relnamespace::regnamespace::text in ('intermediate', 'marts', 'views')
          and relname !~ '__old$'  -- which the next build drops
          and oid::regclass::text <> all(%s)
        order by 1"""
    return [table for (table,) in connection.execute(query, [list(HISTORIES)]).fetchall()]


def keep(connection: psycopg.Connection) -> None:
    """Keep the rows of all built tables, to compare them with later ones."""
    connection.execute("drop schema if exists kept cascade; create schema kept")
    for table in built_tables(connection):
        connection.execute(f'create table kept."{table}" as select * from {table}')
    connection.commit()


def differences(connection: psycopg.Connection) -> list[str]:
    """What differs between the kept rows and those that stand now: at most five rows of each table and side."""
    found = []
    kept = [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'kept'")]
    for table in sorted({*kept, *built_tables(connection)}):
        before, now = (
            f"select (to_jsonb(t) - '{{{','.join(STAMPS)}}}'::text[])::text as line from {relation} as t"
            for relation in (f'kept."{table}"', table)
        )
        rows = connection.execute(
            f"""(select 'kept', line from ({before} except all {now}) as gone limit 5)
                union all (select 'now', line from ({now} except all {before}) as new limit 5)"""
        ).fetchall()
        found += [f"{table}, {side}: {line}" for side, line in rows]
    connection.rollback()
    return found


def marks_of(connection: psycopg.Connection) -> set[int]:
    """The tide marks at which the tables that a refresh builds stand: one, when all agree."""
    query = "select distinct load_id from ops.tidemarks where split_part(table_name, '.', 1) = any(%s)"
    found = connection.execute(query, [["intermediate", "marts", "views"]]).fetchall()
    connection.rollback()
    return {load_id for (load_id,) in found}
