"""How long an event takes to be seen, sent into a Redis stream at a steady rate while `tidemark up` runs as always.

    .venv/bin/python -m benchmarks.fast_lane --minutes 5 [--events-per-minute 10000] [--json]

Needs `redis-server`. The simulator's events are given the present time and sent one after the other; a home, a database
and a Redis of its own are made and removed. Latencies are those of each event, from the moment at which it was sent to
the commit of its load (`loaded`), of the minute tables (`aggregated`), and of what `api` shows (`visible`), as stamped
in `ops.load_stamps`. `cores` is the processor time of all processes of `up` and of the database, by the second.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import psutil
import psycopg
import redis
import yaml

from orchestration.settings import ROOT

START_SECONDS = 300
PORTION_SECONDS = 0.1
EVERY = "PT5S"
SOURCE = "live"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--events-per-minute", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=3999, help="of the UI that `up` serves")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(Path(scratch), arguments.minutes, arguments.events_per_minute, arguments.port)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['events']:,} events in {result['minutes']:g} minutes, {result['cores']:.2f} cores used")
    print(f"{'seconds until':14}" + "".join(f"{name:>8}" for name in ("p50", "p90", "p99", "max")))
    for stage in ("loaded", "aggregated", "visible"):
        print(f"{stage:14}" + "".join(f"{seconds:8.1f}" for seconds in result[stage]))


def measure(home: Path, minutes: float, per_minute: int, port: int) -> dict:
    """Send events for some minutes and wait until `api` shows all of them: percentiles in seconds, cores used."""
    with running_redis(home) as client, running_tidemark(home, client, port) as processes:
        events = samples(home, per_minute)
        send(client, events, minutes=1 / per_minute, per_minute=per_minute)  # the first of all has the lane begin
        wait_for(home, "select 1 from ops.tidemarks where table_name = 'views.windows' and load_id > 0")
        cpu, began = cpu_seconds(processes()), time.monotonic()
        sent = send(client, events, minutes, per_minute)
        cores = (cpu_seconds(processes()) - cpu) / (time.monotonic() - began)
        wait_for(home, f"select 1 from ops.load_stamps where visible_at is not null having sum(events) >= {sent}")
        return {"events": sent, "minutes": minutes, "cores": cores, **latencies(home)}


@contextmanager
def running_redis(home: Path) -> Iterator[redis.Redis]:
    path = home / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(home)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    try:
        with redis.Redis.from_url(f"unix://{path}") as client:
            yield client
    finally:
        server.terminate()
        server.wait()


@contextmanager
def running_tidemark(home: Path, client: redis.Redis, port: int, alerts: dict | None = None):
    """`tidemark up` with the shipped configuration and one fast source; gives its processes and the database's.

    `alerts` takes the place of the shipped alert rules.
    """
    config = shutil.copytree(ROOT / "config", home / "config")
    live = {"redis": {"url": f"unix://{home}/redis.sock", "stream": "events"}, "every": EVERY}
    (config / "sources.yml").write_text(yaml.safe_dump({"sources": {SOURCE: live}}))
    if alerts:
        (config / "alerts.yml").write_text(yaml.safe_dump(alerts))
    kept = {"TIDEMARK_SMTP_URL"} if alerts else set()
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(("TIDEMARK_", "DAGSTER_"))
    }
    environment |= {"TIDEMARK_HOME": str(home), "TIDEMARK_CONFIG": str(config)}
    command = [sys.executable, "-m", "orchestration.cli", "up", "--port", str(port)]
    up = subprocess.Popen(command, cwd=ROOT, env=environment)

    def processes() -> list[psutil.Process]:
        postmaster = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        roots = [psutil.Process(up.pid), psutil.Process(postmaster)]
        return [*roots, *(child for root in roots for child in root.children(recursive=True))]

    try:
        yield processes
    finally:
        up.terminate()
        up.wait()


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Processor time of these processes, and of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def samples(home: Path, count: int) -> list[dict]:
    """As many of the simulator's events, in the order of time."""
    from orchestration.simulate.simulator import simulate

    simulate(home / "sample", start=date(2026, 1, 5), days=7, events=max(count, 2_000), broken_rate=0, duplicate_rate=0)
    lines = b"".join(path.read_bytes() for path in sorted((home / "sample").glob("*.jsonl"))).splitlines()
    return [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines[:count]]


def send(client: redis.Redis, events: list[dict], minutes: float, per_minute: int) -> int:
    """Send the events over and over at a steady rate, each with its own id and the present time: how many they were."""
    sent, began = 0, time.monotonic()
    while (elapsed := time.monotonic() - began) < 60 * minutes:
        pipeline = client.pipeline(transaction=False)
        now = datetime.now(UTC).isoformat()
        while sent < elapsed / 60 * per_minute:
            event = events[sent % len(events)] | {"event_id": f"{began}-{sent}", "occurred_at": now, "received_at": now}
            pipeline.xadd("events", {"event": msgspec.json.encode(event)})
            sent += 1
        pipeline.execute()
        time.sleep(PORTION_SECONDS)
    return sent


def database_url(home: Path) -> str:
    return f"postgresql://postgres@/tidemark?host={home}/postgres"


def wait_for(home: Path, query: str) -> None:
    """Until a query finds something. It is asked of a database that may not be there yet."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with psycopg.connect(database_url(home), connect_timeout=5) as connection:
                if connection.execute(query).fetchone():
                    return
        except psycopg.Error:
            pass
        time.sleep(1)
    sys.exit(f"Nothing came of {query!r} within {START_SECONDS} seconds: see {home}/logs/dagster.log.")


def latencies(home: Path) -> dict[str, list[float]]:
    """By stage, the 50th, 90th, 99th and 100th percentile over all events, in seconds."""
    stages = ("loaded", "aggregated", "visible")
    with psycopg.connect(database_url(home)) as connection:
        row = connection.execute(
            "select "
            + ", ".join(
                f"""percentile_cont(array[0.5, 0.9, 0.99, 1]) within group
                    (order by extract(epoch from {stage}_at - events.received_at))"""
                for stage in stages
            )
            + " from raw.events as events join ops.load_stamps using (load_id)"
        ).fetchone()
    return dict(zip(stages, row, strict=True))


if __name__ == "__main__":
    main()
