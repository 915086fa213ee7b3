"""Events of the five systems made at random, and loads of them written as the ingest stage writes them."""

import random
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb


def load(connection: psycopg.Connection, events: list[dict]) -> int:
    """Commit events as one load; those that are known already count as duplicates. Returns the load's number."""
    load_id = connection.execute("select coalesce(max(load_id), 0) + 1 from raw.loads").fetchone()[0]
    first = {event["event_id"]: event for event in reversed(events)}
    known = {
        event_id
        for (event_id,) in connection.execute(
            """select event_id from unnest(%s::text[]) as given (event_id)
               join raw.identities on identity = raw.identity_of('test', event_id)""",
            [list(first)],
        )
    }
    fresh = [event | {"load_id": load_id} for event_id, event in first.items() if event_id not in known]
    newest = max((event["occurred_at"] for event in fresh), default=None)
    connection.execute(
        "insert into raw.loads values (%s, 'test', 'memory', %s, %s, %s, %s, 0, 0, %s, now())",
        [load_id, str(load_id), len(events), len(fresh), len(events) - len(fresh), newest],
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into raw.identities values (raw.identity_of('test', %(event_id)s), %(occurred_at)s)", fresh
        )
        cursor.executemany(
            "insert into raw.events values ('test', %(event_id)s, %(event_type)s, %(occurred_at)s, now(), %(user_id)s, "
            "null, %(properties)s, %(load_id)s)",
            [event | {"properties": Jsonb(event["properties"])} for event in fresh],
        )
    connection.execute(
        """insert into raw.touched_hours
           select distinct load_id, ops.hour_of(occurred_at, ops.timezone()) from raw.events where load_id = %s""",
        [load_id],
    )
    connection.execute(
        """insert into raw.touched_minutes
           select distinct load_id, date_trunc('minute', occurred_at) from raw.events
           where load_id = %s
             and date_trunc('minute', occurred_at) > (select max(newest_at) from raw.loads) - interval '2 days'""",
        [load_id],
    )
    connection.commit()
    return load_id


def random_events(rng: random.Random, count: int) -> list[dict]:
    """Events of a few people over three days (the second has 23 hours in Berlin), and one 400 days before."""
    start = datetime(2026, 3, 28, tzinfo=UTC)
    makers = {
        "page_viewed": lambda: {},
        "content_viewed": lambda: {"content_id": "c1", "category": rng.choice("xy")},
        "content_started": lambda: {"content_id": "c1", "category": rng.choice("xy")},
        "content_searched": lambda: {"query": rng.choice("ab"), "results_count": rng.randint(0, 1)},
        "experiment_viewed": lambda: {
            "experiment_id": "checkout_button",
            "variant_id": rng.choice(["control", "green"]),
        },
        "lesson_completed": lambda: {
            "skill": rng.choice("ab"),
            "score": rng.randint(0, 200),
            "duration_seconds": 60,
            "timezone": rng.choice(["Asia/Tokyo", "America/New_York", "Nowhere/Land", None]),
            "class_id": rng.choice("xy"),
        },
        "order_completed": lambda: {
            "order_id": f"o{rng.random()}",
            "currency": rng.choice(["EUR", "USD"]),
            "products": [{"product_id": "p", "quantity": rng.randint(1, 3), "price": rng.randint(1, 9999) / 100}],
        },
        "product_viewed": lambda: {"product_id": "p", "category": "x", "price": 5, "currency": "EUR"},
        "competitor_price_observed": lambda: {"product_id": "p", "competitor": "k", "price": 4, "currency": "EUR"},
        "price_changed": lambda: {"product_id": "p", "price": rng.randint(3, 9), "currency": "EUR"},
        "exchange_rate_published": lambda: {"currency": "USD", "base_currency": "EUR", "rate": rng.randint(8, 12) / 10},
        "seller_rated": lambda: {"seller_id": "s", "rating": rng.randint(1, 5)},
        "request_served": lambda: {"endpoint": rng.choice(["/a", "/b"]), "status": 200, "latency_ms": rng.random()},
        "room_created": lambda: {"room_id": rng.choice("rs"), "category": "c"},
        "vote_cast": lambda: {
            "room_id": rng.choice("rs"),
            "content_id": "c1",
            "category": "c",
            "is_in_favour": rng.random() < 0.7,
        },
        "room_matched": lambda: {"room_id": rng.choice("rs"), "content_id": "c1", "category": "c"},
        "transaction_created": lambda: {
            "transaction_id": f"t{rng.randrange(20)}",
            "seller_id": "s",
            "amount": 5,
            "currency": "EUR",
            "sequence": 1,
        },
    }
    events = []
    for number in range(count):
        kind = "order_completed" if number == 0 else rng.choice(list(makers))  # so that a complete week has a basket
        late = timedelta(days=400) if number == 0 else timedelta()
        events.append(
            {
                "event_id": f"e{number}",
                "event_type": kind,
                "occurred_at": start - late + timedelta(seconds=rng.randint(0, 3 * 86_400)),
                "user_id": f"u{rng.randint(1, 4)}",
                "properties": makers[kind](),
            }
        )
    return events
