"""The watched folders: what the asset takes in, and what the sensor asks for."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration.ingest.assets import Arrivals, raw_events
from orchestration.ingest.loader import ingest
from orchestration.ingest.sensors import arrivals
from orchestration.ingest.sources import files
from tests.ingest.conftest import event


@pytest.fixture
def arrive(home, write):
    """Put a file into the watched folder of the native source, written some seconds ago."""

    def arrive(name: str, lines: list, age: float = 60) -> Path:
        target = home / "inbox" / "native" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write(name, lines).rename(target)
        os.utime(target, (time.time() - age,) * 2)
        return target

    return arrive


def requested() -> list[dg.RunRequest]:
    return list(arrivals(dg.build_sensor_context()))


def test_the_sensor_asks_once_for_each_state_of_the_folder(warehouse, arrive):
    assert requested() == []
    arrive("a.jsonl", [event(1)])
    (first,) = requested()
    assert first.run_config["ops"]["raw__events"]["config"] == {"source": "native"}
    assert [request.run_key for request in requested()] == [first.run_key]  # Dagster runs a key once
    ingest("native")
    assert requested() == []
    arrive("a.jsonl", [event(1), event(2)])
    (second,) = requested()
    assert second.run_key != first.run_key


def test_the_sensor_leaves_a_file_alone_that_may_still_grow(warehouse, arrive):
    arrive("a.jsonl", [event(1)], age=0)
    assert requested() == []


def test_a_folder_gives_each_file_once_and_waits_for_the_youngest(warehouse, arrive, monkeypatch):
    monkeypatch.setattr(files, "QUIET_SECONDS", 0.2)
    arrive("b.jsonl", [event(2)], age=0)
    arrive("a.jsonl", [event(1)])
    assert [Path(load.locator).name for load in ingest("native")] == ["a.jsonl", "b.jsonl"]
    assert ingest("native") == []
    arrive("c.jsonl", [event(2)])
    arrive("d.jsonl", [event(1)])
    assert [(load.is_repeat, load.received) for load in ingest("native")] == [(True, 1), (True, 1)]
    assert ingest("native") == []


def test_a_file_that_grows_is_left_for_the_next_time(warehouse, arrive, monkeypatch):
    monkeypatch.setattr(files, "QUIET_SECONDS", 0.2)
    path = arrive("a.jsonl", [event(1)], age=0)
    monkeypatch.setattr(files.time, "sleep", lambda _: path.write_text(path.read_text() * 2))
    assert ingest("native") == []


def test_the_asset_takes_in_every_watched_folder_and_reports_the_counts(warehouse, arrive):
    arrive("a.jsonl", [event(1), event(1), "oops"])
    arrive("b.jsonl.gz", [event(2)])
    (arrive("cut.jsonl.gz", [event(3)])).write_bytes(b"\x1f\x8b\x08cut")
    result = dg.materialize([raw_events], run_config=dg.RunConfig({"raw__events": Arrivals()}))
    ((materialization,),) = [[event.materialization for event in result.get_asset_materialization_events()]]
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert {name: metadata[name] for name in ("received", "loaded", "duplicate", "quarantined")} == {
        "received": 4, "loaded": 2, "duplicate": 1, "quarantined": 1,
    }  # fmt: skip
    assert "not a whole gzip file" in metadata["files not loaded"][0]
