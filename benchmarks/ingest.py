"""How fast events get in, beside the limit: PostgreSQL's own COPY of prepared files into the same tables.

    .venv/bin/python -m benchmarks.ingest --events 500000 [--json]

Both run in one go on an embedded database of their own. Tidemark reads JSON Lines and does everything: parsing,
checks, identities, duplicates, partitions, touched hours, ledger. COPY gets what came out of that, as CSV, sorted and
with the partitions made, and only fills the two tables and their keys (`raw.events`, `raw.identities`).
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.ingest.loader import ingest
from orchestration.settings import settings
from orchestration.warehouse import database, server

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
TABLES = ("raw.events", "raw.identities")


def write_events(path: Path, count: int) -> None:
    """`count` seeded events of 90 days in the order of time, with five properties each."""
    chance = random.Random(1)
    step = timedelta(days=DAYS) / count
    with path.open("w") as file:
        for number in range(count):
            moment = START + number * step
            event = {
                "event_id": f"{chance.getrandbits(128):032x}",
                "event_type": chance.choice(["lesson_completed", "lesson_started"]),
                "occurred_at": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
                "user_id": f"u{chance.randrange(5000)}",
                "session_id": f"s{chance.randrange(100_000)}",
                "properties": {
                    "lesson_id": f"l{chance.randrange(300)}",
                    "skill": chance.choice(["vocabulary", "grammar", "listening"]),
                    "difficulty": chance.choice(["easy", "hard"]),
                    "score": chance.randrange(101),
                    "duration_seconds": round(chance.expovariate(1 / 600), 1),
                },
            }
            file.write(json.dumps(event) + "\n")


def tidemark(path: Path) -> dict:
    """Load the file in a process of its own, for its memory to be told: seconds and peak_mib."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_tidemark, [path])


def _tidemark(path: Path) -> dict:
    with database.connect(autocommit=True) as connection:
        connection.execute("checkpoint")
    began = time.perf_counter()
    ingest("native", [path])
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def copy() -> dict:
    """Empty the tables, and fill them again with COPY from files in the server's own directory: seconds."""
    directory = settings().home.resolve() / "postgres"
    with database.connect(autocommit=True) as connection:
        for table in TABLES:
            order = "occurred_at" if table == "raw.events" else "identity"
            prepared = directory / f"{table}.csv"
            connection.execute(f"copy (select * from {table} order by {order}) to '{prepared}' (format csv)")
        connection.execute(f"truncate {', '.join(TABLES)}")
        connection.execute("checkpoint")
        began = time.perf_counter()
        with connection.transaction():
            for table in TABLES:
                connection.execute(f"copy {table} from '{directory / table}.csv' (format csv)")
        return {"seconds": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        os.environ["TIDEMARK_HOME"] = scratch
        os.environ.pop("TIDEMARK_DATABASE_URL", None)
        try:
            print(f"Writing {arguments.events} events …", file=sys.stderr)
            write_events(home / "events.jsonl", arguments.events)
            results = {"tidemark": tidemark(home / "events.jsonl"), "copy": copy()}
        finally:
            server.stop(settings().home.resolve() / "postgres")
    for result in results.values():
        result["events_per_second"] = arguments.events / result["seconds"]
        result["share_of_copy"] = results["copy"]["seconds"] / result["seconds"]
    if arguments.json:
        print(json.dumps({"events": arguments.events, "results": results}))
        return
    print(f"{'':10} {'seconds':>9} {'events/s':>10} {'of COPY':>8} {'peak MiB':>9}")
    for name, r in results.items():
        peak = f"{r['peak_mib']:9.0f}" if "peak_mib" in r else ""
        print(f"{name:10} {r['seconds']:9.2f} {r['events_per_second']:10.0f} {r['share_of_copy']:8.2f} {peak}")


if __name__ == "__main__":
    main()
