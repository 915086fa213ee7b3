"""Kill -9 of a load, and of the database below it, anywhere: started again, everything is as if it had not happened."""

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest

from orchestration.warehouse import database, server
from orchestration.warehouse.sealing import opened
from tests.conftest import IS_NIGHTLY
from tests.ingest.conftest import event
from tests.ingest.victim import POINTS, run, shrink

ROOT = Path(__file__).resolve().parents[2]
TABLES = "raw.events, raw.identities, raw.loads, raw.cursors, raw.quarantine, raw.fields"
SEEDS = range(10 if IS_NIGHTLY else 2)
ASIDE = {"received_at": "2026-03-02T00:00:00Z"}  # else the time of loading, which is another one each time


@pytest.fixture
def folder(tmp_path) -> Path:
    """Files and a stream with duplicates, conflicts, what is refused for good, and what a replay takes."""

    def write(name: str, lines: list) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line | ASIDE) for line in lines]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts))

    eaten = {"event_type": "lesson_eaten"}
    write(
        "a.load.jsonl",
        [
            event(1, **eaten), event(1), event(2, **eaten), event(2, occurred_at="2026-03-03T10:00:00Z"), "oops",
            event(3, event_id=None, **eaten), event(4), event(4), event(5, event_id=None), event(6, **eaten),
        ],
    )  # fmt: skip
    write("b.load.jsonl", [event(4), event(7), event(8, user_id=None), event(4, occurred_at="2026-03-03T10:00:00Z")])
    write("stream.jsonl", [event(n, **(eaten if n % 4 == 0 else {})) for n in range(4, 15)])
    for name, contract in (("strict", "{contract: strict}"), ("open", "{contract: open}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tenant.yml").write_text("name: Test\n")
        (tmp_path / name / "sources.yml").write_text(f"sources: {{native: {contract}}}\n")
        shutil.copy(ROOT / "config" / "contract.yml", tmp_path / name)
    return tmp_path


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setenv("TIDEMARK_CONFIG", "")  # a run sets it: put it back in the end
    shrink(monkeypatch.setattr)


class Victim:
    """The process that forks a victim for each order."""

    def __init__(self, folder: Path, chance: random.Random):
        self.folder, self.chance = folder, chance
        command = [sys.executable, "-m", "tests.ingest.victim", str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def order(self, **order) -> int:
        order = {"point": None, "call": 0, "when": "before", "pid": None} | order
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def learn(self) -> dict[str, int]:
        """Run without a kill, and return how often each point is passed."""
        assert self.order() == 0
        calls = json.loads((self.folder / "calls.json").read_text())
        assert all(calls.values()), calls
        return calls

    def strike(self, point: str, calls: int, pid: int | None = None) -> tuple[dict, int]:
        where = {"point": point, "call": self.chance.randint(1, calls), "when": self.chance.choice(["before", "after"])}
        return where, self.order(**where, pid=pid)


def start_over(folder: Path) -> None:
    (folder / "acknowledged").unlink(missing_ok=True)
    with database.connect() as connection:
        connection.execute(f"truncate {TABLES} cascade")


def tables() -> dict[str, list]:
    """All that a load writes, but for the numbers of loads and the clock."""
    queries = {
        "events": """select event_id, event_type, occurred_at, received_at, user_id, session_id, properties::text
                     from raw.events order by 1""",
        "identities": """select identity, occurred_at, locator, position
                         from raw.identities join raw.loads using (load_id) order by 1""",
        "loads": """select locator, checksum, cause, received, loaded, duplicate, quarantined, newest_at
                    from raw.loads order by load_id""",
        "quarantine": """select locator, position, reason, detail, root, format, replayed_at is null
                         from raw.quarantine order by locator, load_id, position""",
        "hours": "select locator, hour from raw.touched_hours join raw.loads using (load_id) order by load_id, hour",
        "minutes": """select locator, minute from raw.touched_minutes join raw.loads using (load_id)
                      order by load_id, minute""",
        "cursors": "select locator, cursor from raw.cursors order by 1",
        "fields": """select event_type, field, type, carried, arrived, first_at, last_at
                     from raw.fields order by 1, 2, 3""",
    }
    with database.connect() as connection:
        found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
        payloads = connection.execute("select payload from raw.quarantine order by locator, load_id, position")
        return found | {"payloads": [opened(payload) for (payload,) in payloads]}


def consistent() -> bool:
    """Whether what is committed is whole, load for load."""
    with database.connect() as connection:
        ((events, identities, loaded, quarantined, refused),) = connection.execute(
            """select (select count(*) from raw.events), (select count(*) from raw.identities),
                      coalesce(sum(loaded), 0), coalesce(sum(quarantined), 0), (select count(*) from raw.quarantine)
               from raw.loads"""
        ).fetchall()
    return events == identities == loaded and quarantined == refused


def test_all_of_it_once_more_changes_nothing(warehouse, folder, small_batches):
    run(folder)
    once = tables()
    run(folder)
    assert tables() == once


def test_a_load_that_is_killed_anywhere_is_whole_after_the_restart(warehouse, folder, small_batches):
    with Victim(folder, random.Random(1)) as victim:
        calls = victim.learn()
        clean = tables()
        for point, _ in itertools.product(POINTS, SEEDS):
            start_over(folder)
            where, ended = victim.strike(point, calls[point])
            assert ended == -signal.SIGKILL, where
            assert consistent(), where
            run(folder)
            assert tables() == clean, where


@contextmanager
def own_server(monkeypatch):
    """A server to kill, which keeps its promises when it is."""
    directory = Path(mkdtemp(prefix="tidemark-"))
    try:
        start(directory, monkeypatch)
        yield directory
    finally:
        server.stop(directory)
        shutil.rmtree(directory)


def start(directory: Path, monkeypatch) -> None:
    """Start the server, again when it died, as every command does, and point the settings to it."""
    target = database._database(server.start(directory), "killed")
    database.forget()
    database.create(target)
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", target)


def wait_for_the_end(pid: int) -> None:
    """A signal takes a moment, and nobody may be there to take note of the end."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def test_a_database_that_is_killed_anywhere_is_whole_after_the_restart(home, folder, small_batches, monkeypatch):
    chance = random.Random(2)
    runs = itertools.product(POINTS, SEEDS) if IS_NIGHTLY else [(point, 0) for point in chance.sample(list(POINTS), 5)]
    with own_server(monkeypatch) as directory, Victim(folder, chance) as victim:
        calls = victim.learn()
        clean = tables()
        for point, _ in runs:
            start_over(folder)
            postmaster = int((directory / "postmaster.pid").read_text().split()[0])
            where, ended = victim.strike(point, calls[point], postmaster)
            wait_for_the_end(postmaster)
            start(directory, monkeypatch)
            assert consistent(), where
            assert ended in (0, 1), where  # the last step may have had nothing to ask of it any more
            run(folder)
            assert tables() == clean, where
