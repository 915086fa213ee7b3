"""How fast the simulator writes events, beside the time that msgspec takes only to encode the same events again.

Run it with `.venv/bin/python -m benchmarks.simulate`; `--json` prints one JSON document.
"""

import argparse
import json
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import msgspec

from orchestration.simulate.simulator import simulate


def measure(events: int, days: int) -> dict[str, float]:
    """Events per second of wall time and of processor time, and the yardstick's, in this process."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        simulate(directory, start=date(2026, 1, 5), days=7, events=2_000)  # imports what it needs
        wall, processor = time.perf_counter(), time.process_time()
        truth = simulate(directory, start=date(2026, 1, 5), days=days, events=events)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        encoded, seconds = _encode_again(directory)
        size = sum(path.stat().st_size for path in directory.glob("*.jsonl"))
    return {
        "events": events,
        "days": days,
        "megabytes": round(size / 1e6, 1),
        "seconds": round(wall, 2),
        "events_per_second": round(sum(truth.events.values()) / wall),
        "events_per_processor_second": round(sum(truth.events.values()) / processor),
        "peak_mebibytes": round(peak),
        "msgspec_events_per_second": round(encoded / seconds),
        "ratio_to_msgspec": round(sum(truth.events.values()) / processor / (encoded / seconds), 2),
    }


def _encode_again(directory: Path) -> tuple[int, float]:
    """How many records msgspec encodes in how many seconds, a day at a time, reading them not counted."""
    encoder = msgspec.json.Encoder()
    count, seconds = 0, 0.0
    for path in sorted(directory.glob("*.jsonl")):
        records = []
        for line in path.read_bytes().splitlines():
            try:
                records.append(msgspec.json.decode(line))
            except msgspec.DecodeError:
                continue  # broken on purpose
        begin = time.perf_counter()
        for record in records:
            encoder.encode(record)
        seconds += time.perf_counter() - begin
        count += len(records)
    return count, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    result = measure(arguments.events, arguments.days)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):<30}{value:>15,}")


if __name__ == "__main__":
    main()
