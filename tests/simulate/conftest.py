"""Simulations, read back by a plain reader that shares no code with the simulator."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.simulate.simulator import simulate
from orchestration.simulate.truth import Truth

START = date(2026, 1, 5)


@dataclass
class Reading:
    """What a reader finds in the files of a simulation."""

    truth: Truth
    directory: Path
    lines: int = 0
    events: list[dict] = field(default_factory=list)  # valid and distinct, in order of time; `file` says which day's
    duplicates: int = 0
    broken: Counter = field(default_factory=Counter)

    def of(self, *event_types: str) -> list[dict]:
        return [event for event in self.events if event["event_type"] in event_types]


def read(directory: Path, truth: Truth) -> Reading:
    """Read every line of every file, as the rules of docs/events.md have it."""
    reading, seen = Reading(truth, directory), {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            reading.lines += 1
            kind, event = judge(line)
            if kind:
                reading.broken[kind] += 1
            elif (identity := event["event_id"]) in seen:
                assert seen[identity] == line, "a duplicate is an exact repeat"
                reading.duplicates += 1
            else:
                seen[identity] = line
                reading.events.append(event | {"file": path.stem})
    reading.events.sort(key=lambda event: event["occurred_at"])
    return reading


def judge(line: str) -> tuple[str | None, dict]:
    """What is wrong with a record, and the record with its time parsed."""
    try:
        record = json.loads(line)
    except ValueError:
        return "invalid_json", {}
    if not isinstance(record, dict):
        return "not_an_object", {}
    for name in ("event_type", "user_id"):
        if name not in record:
            return f"missing_{name}", record
    try:
        record["occurred_at"] = datetime.fromisoformat(record["occurred_at"])
    except ValueError:
        return "unparsable_time", record
    return ("future_time" if record["occurred_at"] > datetime(2500, 1, 1, tzinfo=UTC) else None), record


@pytest.fixture(scope="session")
def month(tmp_path_factory) -> Reading:
    """Five weeks with the default rates, but for more broken records."""
    directory = tmp_path_factory.mktemp("month")
    return read(directory, simulate(directory, start=START, days=35, events=70_000, seed=7, broken_rate=0.01))


@pytest.fixture
def hourly(month):
    """Counts events by hour, for those that a function accepts: counts(accepts) -> {hour: count}."""

    def counts(accepts) -> dict[datetime, int]:
        hours = {month.truth.start + timedelta(hours=hour): 0 for hour in range(35 * 24)}
        for event in month.events:
            if accepts(event):
                hours[event["occurred_at"].replace(minute=0, second=0, microsecond=0)] += 1
        return hours

    return counts
