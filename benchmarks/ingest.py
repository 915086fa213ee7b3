"""How fast events get in, beside a limit and beside what people use today.

    .venv/bin/python -m benchmarks.ingest [--events 2000000] [--dlt-events N] [--stored N] [--json]

All run in one go over the same seeded events, JSON Lines with five properties, in an embedded database of their own:

- copy      the limit: the server's own COPY of prepared CSV files into the same two tables with the same keys. The
            files hold what came out of Tidemark, sorted, and the partitions are there.
- tidemark  everything: reading, parsing, the contract's schemas, a pseudonym in each event, identities, duplicates,
            partitions, touched hours, ledger.
- repeated  the same with every tenth line repeating an earlier one.
- stored    the same again, into a table that holds so many other events already (--stored, off unless given).
- dlt       dlt's filesystem source into PostgreSQL, as its documentation shows it.
- pandas    read_json in chunks, and to_sql.

The last two do no checks, keep no identities and would load a file twice.
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
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from orchestration.ingest.loader import ingest
from orchestration.settings import settings
from orchestration.warehouse import database, server

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
TABLES = ("raw.events", "raw.identities")
CHUNK = 50_000


def write_events(path: Path, count: int, seed: int = 1, repeated: int = 0) -> None:
    """`count` seeded events of 90 days in the order of time; with `repeated`, every so many-th is an earlier one."""
    chance = random.Random(seed)
    step = timedelta(days=DAYS) / count
    earlier: list[str] = []
    with path.open("w") as file:
        for number in range(count):
            line = json.dumps(_event(chance, START + number * step)) + "\n"
            if repeated and number % repeated == repeated - 1:
                line = chance.choice(earlier)
            elif repeated and number % 7 == 0:
                earlier.append(line)
            file.write(line)


def _event(chance: random.Random, moment: datetime) -> dict:
    user = chance.randrange(5000)
    return {
        "event_id": f"{chance.getrandbits(128):032x}",
        "event_type": chance.choice(["lesson_completed", "lesson_started"]),
        "occurred_at": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
        "user_id": f"u{user}",
        "session_id": f"s{chance.randrange(100_000)}",
        "properties": {
            "lesson_id": f"l{chance.randrange(300)}",
            "skill": chance.choice(["vocabulary", "grammar", "listening"]),
            "score": chance.randrange(101),
            "duration_seconds": round(chance.expovariate(1 / 600), 1),
            "email": f"user{user}@example.com",
        },
    }


def apart(work: Callable[[Path], None], path: Path) -> dict:
    """Do it in a process of its own, whose memory can be told: seconds and peak_mib, its children's included."""
    with database.connect(autocommit=True) as connection:
        connection.execute("checkpoint")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, [work, path])


def _measured(work: Callable[[Path], None], path: Path) -> dict:
    began = time.perf_counter()
    work(path)
    seconds = time.perf_counter() - began
    kib = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": seconds, "peak_mib": kib / 1024}


def tidemark(path: Path) -> None:
    ingest("native", [path])


def dlt(path: Path) -> None:
    import dlt
    from dlt.sources.filesystem import filesystem, read_jsonl

    parts = database.parameters()
    account = f"{parts['user']}:{parts['password'] or 'any'}"  # the embedded server asks for no password, dlt for one
    place = f"localhost:{parts['port']}/{parts['dbname']}?host={quote(parts['host'])}"  # perhaps the path of a socket
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(path.parent / "dlt"),
        destination=dlt.destinations.postgres(f"postgresql://{account}@{place}"),
        dataset_name="dlt",
    )
    files = filesystem(bucket_url=path.parent.as_uri(), file_glob=path.name) | read_jsonl()
    pipeline.run(files.with_name("events"))


def pandas(path: Path) -> None:
    import pandas as pd
    from sqlalchemy import create_engine

    engine = create_engine(database.url().replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection, pd.read_json(path, lines=True, chunksize=CHUNK) as chunks:
        for chunk in chunks:
            chunk["properties"] = chunk["properties"].map(json.dumps)
            chunk.to_sql("pandas_events", connection, if_exists="append", index=False)


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


def empty() -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute("truncate raw.events, raw.identities, raw.loads cascade")


def run(home: Path, events: int, dlt_events: int, stored: int) -> dict[str, dict]:
    """seconds, events, and where it is known peak_mib, by what was measured."""
    given = home / "events.jsonl"
    _say(f"Writing {events:,} events")
    write_events(given, events)
    results = {"tidemark": apart(tidemark, given)}
    results["copy"] = copy()
    _say("Loading again with duplicates")
    write_events(home / "repeated.jsonl", events, repeated=10)
    empty()
    results["repeated"] = apart(tidemark, home / "repeated.jsonl")
    if stored:
        _say(f"Storing {stored:,} other events")
        empty()
        for seed in range(2, 2 + -(-stored // events)):
            write_events(home / "others.jsonl", min(events, stored), seed=seed)
            tidemark(home / "others.jsonl")
        results["stored"] = apart(tidemark, given)
    _say("Loading with pandas and with dlt")
    results["pandas"] = apart(pandas, given)
    if dlt_events < events:
        with given.open() as lines, (home / "some.jsonl").open("w") as some:
            some.writelines(line for line, _ in zip(lines, range(dlt_events), strict=False))
        given = home / "some.jsonl"
    results["dlt"] = apart(dlt, given) | {"events": min(dlt_events, events)}
    for result in results.values():
        result.setdefault("events", events)
        result["events_per_second"] = result["events"] / result["seconds"]
    for result in results.values():
        result["share_of_copy"] = result["events_per_second"] / results["copy"]["events_per_second"]
    return results


def _say(sentence: str) -> None:
    print(f"{sentence} …", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument(
        "--dlt-events", type=int, default=200_000, help="dlt gets fewer, for it would take many minutes"
    )
    parser.add_argument("--stored", type=int, default=0, help="also measure the load into a table with so many events")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ.pop("TIDEMARK_DATABASE_URL", None)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TIDEMARK_HOME"] = scratch
        try:
            results = run(Path(scratch), arguments.events, arguments.dlt_events, arguments.stored)
        finally:
            server.stop(settings().home.resolve() / "postgres")
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{'':10} {'events':>10} {'seconds':>9} {'events/s':>10} {'of COPY':>8} {'peak MiB':>9}")
    for name, r in results.items():
        peak = f"{r['peak_mib']:9.0f}" if "peak_mib" in r else ""
        counts = f"{r['events']:10,} {r['seconds']:9.2f} {r['events_per_second']:10,.0f}"
        print(f"{name:10} {counts} {r['share_of_copy']:8.2f} {peak}")


if __name__ == "__main__":
    main()
