"""How long it takes to erase one person, and whether anybody waits for it. One run, an embedded database of its own.

    .venv/bin/python -m benchmarks.erase --events 10000000 [--json] [--home FOLDER]

The events are those of benchmarks.refresh: all five systems over 90 days, a hundred of each person. Measured is the
whole of `./tidemark erase`: suppressing, searching, removing, the refresh of the tables, the search afterwards and the
vacuum. Meanwhile another session takes, again and again, what a load and a refresh need: the loads' lock, and of each
built table the lock of its builder while no refresh of the erasure's own runs. The longest wait is told.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg

from benchmarks.refresh import DAYS, LAST_DAY, Warehouse
from orchestration.privacy import certificate, erasure
from orchestration.settings import settings
from orchestration.warehouse import database, marks, server

PERSON = "u777"
LIMIT_SECONDS, LIMIT_WAIT_SECONDS = 60, 5


class Bystander(threading.Thread):
    """Somebody who loads and refreshes: it takes their locks, and remembers the longest that it waited for one."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest, self.where = 0.0, ""
        self.is_refreshing = threading.Event()
        self.is_over = threading.Event()

    def run(self) -> None:
        with psycopg.connect(database.url(), autocommit=True) as connection:
            query = (
                "select relation from ops.definitions join pg_class on oid = to_regclass(relation) where relkind = 'r'"
            )
            tables = [f"lock table {name} in share row exclusive mode" for (name,) in connection.execute(query)]
            while not self.is_over.wait(0.05):
                self._take(connection, f"select pg_advisory_xact_lock({marks.LOAD_LOCK})")
                for table in [] if self.is_refreshing.is_set() else tables:
                    self._take(connection, table)

    def _take(self, connection: psycopg.Connection, statement: str) -> None:
        began = time.perf_counter()
        with connection.transaction():
            connection.execute(statement)
        waited = time.perf_counter() - began
        if waited > self.longest and not self.is_refreshing.is_set():
            self.longest, self.where = waited, statement


def measure(events: int, say: Callable[[str], None]) -> dict:
    warehouse = Warehouse(events)
    say(f"Writing {events} events")
    warehouse.fill([LAST_DAY - timedelta(days=number) for number in range(DAYS)], warehouse.per_day)
    warehouse.connection.execute("select setval('raw.load_ids', %s)", [warehouse.newest])
    warehouse.connection.execute(
        """insert into raw.identities (identity, occurred_at)
           select raw.identity_of(source, event_id), occurred_at from raw.events"""
    )
    say(f"First build: {warehouse.refresh()['seconds']:.1f} s")
    counts = warehouse.connection.execute(
        "select count(*), count(distinct date_trunc('hour', occurred_at)) from raw.events where user_id = %s", [PERSON]
    ).fetchone()
    bystander, spent = Bystander(), {}

    def refresh() -> bool:
        bystander.is_refreshing.set()
        warehouse.newest = warehouse.ask("select max(load_id) from raw.loads")
        spent["refresh"] = warehouse.refresh()["seconds"]
        bystander.is_refreshing.clear()
        return True

    say("Erasing")
    bystander.start()
    began = time.perf_counter()
    done = erasure.erase([PERSON], "benchmark", refresh)
    _, told = certificate.issue(done)
    seconds = time.perf_counter() - began
    bystander.is_over.set()
    bystander.join()
    return {
        "events": events,
        "of_the_person": counts[0],
        "hours": counts[1],
        "seconds": round(seconds, 1),
        "refresh_seconds": round(spent.get("refresh", 0), 1),
        "longest_wait_seconds": round(bystander.longest, 2),
        "waited_for": bystander.where,
        "is_complete": told["is_complete"],
        "remaining": told["remaining"],
        "is_met": seconds < LIMIT_SECONDS and bystander.longest < LIMIT_WAIT_SECONDS and told["is_complete"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help="where the database is kept afterwards; it must not hold one yet")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-") as scratch:
        os.environ["TIDEMARK_HOME"] = str(arguments.home or Path(scratch) / "home")
        os.environ.pop("TIDEMARK_DATABASE_URL", None)
        try:
            result = measure(arguments.events, lambda sentence: print(sentence, file=sys.stderr))
        finally:
            with suppress(FileNotFoundError):
                server.stop(settings().home.resolve() / "postgres")
    print(json.dumps(result) if arguments.json else "\n".join(f"{name:22} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
