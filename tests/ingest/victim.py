"""Loads files, a stream and what waits in quarantine, and dies, or kills the database, where it is told to.

A program for `test_killed`. It forks for each order that it reads on standard input, so that everything is imported
only once, and answers with how that went. Nothing of the product knows of it: functions are patched from here.
"""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy  # noqa: F401
import polars  # noqa: F401  imported, and not used before the fork: it starts threads

from orchestration.ingest import displacement, loader, quarantine, writer
from orchestration.ingest.dialects import native, records
from orchestration.ingest.sources import files
from orchestration.ingest.sources.arrival import in_memory
from orchestration.settings import sources
from orchestration.warehouse import database, partitions

STREAM_BATCH = 4


class Stream:
    """A stream of messages that delivers again what was not acknowledged."""

    def __init__(self, folder: Path):
        self.messages = (folder / "stream.jsonl").read_bytes().splitlines(keepends=True)
        self.acknowledged = folder / "acknowledged"

    def acknowledge(self, count: int) -> None:
        self.acknowledged.write_text(str(count))

    def consume(self) -> None:
        first = int(self.acknowledged.read_text()) if self.acknowledged.exists() else 0
        with database.connect(autocommit=True) as connection:
            loader.prepare_session(connection)
            loader.sync_source(connection, "native", sources()["native"])
            for start in range(first, len(self.messages), STREAM_BATCH):
                some = self.messages[start : start + STREAM_BATCH]
                end = start + len(some)
                arrival = in_memory(
                    "stream", b"".join(some), {"offset": end}, acknowledge=partial(self.acknowledge, end)
                )
                loader.load(connection, "native", sources()["native"], arrival)


POINTS = {
    "session prepared": (loader, "prepare_session"),
    "file looked at": (files, "arrival"),
    "looked for an earlier load": (loader, "_earlier"),
    "ledger opened": (loader, "open_ledger"),
    "batch read": (native, "_batch"),
    "batch checked": (writer, "checked"),
    "batch written": (writer.Writer, "write"),
    "identities looked up": (writer.Writer, "_known"),
    "partitions made": (partitions, "ensure"),
    "identities copied": (writer.Writer, "_copy_identities"),
    "events copied": (writer.Writer, "_copy_events"),
    "events copied in parts": (writer.Writer, "_copy"),
    "hours touched": (writer.Writer, "_touch"),
    "refusals quarantined": (writer.Writer, "_quarantine"),
    "cursor moved": (loader, "_move_cursor"),
    "fields recorded": (loader, "record_fields"),
    "ledger closed": (loader, "close_ledger"),
    "minutes touched": (writer.Writer, "touch_minutes"),
    "loaded": (loader, "load"),
    "acknowledged": (Stream, "acknowledge"),
    "chunk of quarantine read": (quarantine, "_read"),
    "later event displaced": (displacement, "displace"),
    "replay settled": (quarantine, "_settle"),
}


def run(folder: Path) -> None:
    """Everything from the start: what is done already costs nothing."""
    os.environ["TIDEMARK_CONFIG"] = str(folder / "strict")
    loader.ingest("native", sorted(folder.glob("*.load.jsonl")))
    Stream(folder).consume()
    os.environ["TIDEMARK_CONFIG"] = str(folder / "open")
    quarantine.replay(quarantine.Selection())


def shrink(setattr) -> None:
    """Have several batches of few records."""
    setattr(records, "BLOCK_BYTES", 600)
    setattr(quarantine, "CHUNK_RECORDS", 4)


def patch(point: str, around) -> None:
    owner, name = POINTS[point]
    true = getattr(owner, name)
    setattr(owner, name, lambda *arguments, **options: around(true, *arguments, **options))


def strike(order: dict) -> None:
    """Kill at the call of a point that is ordered: before it, or when it is done."""
    calls = 0

    def around(true, *arguments, **options):
        nonlocal calls
        calls += 1
        if calls == order["call"] and order["when"] == "before":
            os.kill(order["pid"] or os.getpid(), signal.SIGKILL)
        result = true(*arguments, **options)
        if calls == order["call"] and order["when"] == "after":
            os.kill(order["pid"] or os.getpid(), signal.SIGKILL)
        return result

    patch(order["point"], around)


def counted(folder: Path) -> dict[str, int]:
    calls = dict.fromkeys(POINTS, 0)

    def counting(point: str):
        def around(true, *arguments, **options):
            calls[point] += 1
            return true(*arguments, **options)

        return around

    for point in POINTS:
        patch(point, counting(point))
    run(folder)
    return calls


def child(order: dict, folder: Path) -> None:
    shrink(setattr)
    if order["point"] is None:
        (folder / "calls.json").write_text(json.dumps(counted(folder)))
    else:
        strike(order)
        run(folder)


def main(folder: Path) -> None:
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            child(json.loads(line), folder)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
