"""How long all models take to learn and to predict on the demo's data, and how much memory that needs."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import psutil

from orchestration.demo import DAYS, EVENTS, SEED
from orchestration.simulate.simulator import simulate
from orchestration.warehouse import server

BEGIN = date(2026, 1, 5)
EVERY_SECONDS = 0.2  # a look at memory


def rows(data: Path) -> list[dict]:
    """Seconds and memory of the two commands. Needs none of the real data."""
    with tempfile.TemporaryDirectory(prefix="tidemark-") as scratch:
        home, sample = Path(scratch) / "home", Path(scratch) / "sample"
        simulate(sample, start=BEGIN, days=DAYS, events=EVENTS, seed=SEED)
        try:
            _tidemark(home, "ingest", "native", str(sample))
            _tidemark(home, "refresh")
            measured = {name: _measured(home, name) for name in ("train", "predict")}
        finally:
            server.stop(home.resolve() / "postgres")
    name = f"the demo's {EVENTS:,} events, {os.cpu_count()} cores"
    told = []
    for command, (seconds, bytes_used) in measured.items():
        aims = ("< 90", "< 2") if command == "train" else ("", "")
        what = "all models" if command == "train" else "all predictions, gates and publishing"
        told += [
            _row(name, f"{command}, seconds", seconds, aims[0], f"{what}, start included"),
            _row(name, f"{command}, GiB at most", bytes_used / 2**30, aims[1], "of its processes together"),
        ]
    return told


def _row(name: str, measure: str, value: float, aim: str, note: str) -> dict:
    return {"set": name, "measure": measure, "value": value, "aim": aim, "published": "", "note": note}


def _measured(home: Path, command: str) -> tuple[float, int]:
    """Seconds, and the most bytes at a time; what processes share counts once, the database's own not at all."""
    began = time.monotonic()
    process = subprocess.Popen(_command(command), env=_environment(home), stdout=subprocess.DEVNULL)
    seen = [0]
    watcher = threading.Thread(target=_watch, args=(process, seen))
    watcher.start()
    if process.wait() != 0:
        raise SystemExit(f"tidemark {command} failed: see above.")
    seconds = time.monotonic() - began
    watcher.join()
    return seconds, max(seen)


def _watch(process: subprocess.Popen, seen: list[int]) -> None:
    """Note the memory of the process and all that it began, but for the database, until it ends."""
    while process.poll() is None:
        used = 0
        try:
            whole = psutil.Process(process.pid)
            for one in (whole, *whole.children(recursive=True)):
                used += 0 if one.name() == "postgres" else one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # one ended meanwhile: the next look is whole again
        seen.append(used)
        time.sleep(EVERY_SECONDS)


def _tidemark(home: Path, *arguments: str) -> None:
    subprocess.run(_command(*arguments), env=_environment(home), stdout=subprocess.DEVNULL, check=True)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestration.cli", *arguments]


def _environment(home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "TIDEMARK_DATABASE_URL"}
    return own | {"TIDEMARK_HOME": str(home)}
