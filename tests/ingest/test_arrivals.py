"""The watched folders: what the asset takes in, and what the sensor asks for."""

import json
import os
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration.ingest.assets import Arrivals, raw_events
from orchestration.ingest.loader import ingest
from orchestration.ingest.sensors import arrivals
from orchestration.ingest.sources import files
from orchestration.settings import settings
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


def requested(instance: dg.DagsterInstance | None = None, cursor: str | None = None) -> list[dg.RunRequest]:
    """What the sensor asks for; with a cursor, what it asks for at its next tick after that one."""
    return tick(instance or dg.DagsterInstance.ephemeral(), cursor)[0]


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[list[dg.RunRequest], str]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    return list(arrivals(context)), context.cursor


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


def test_the_sensor_leaves_a_file_alone_that_may_still_grow(warehouse, arrive, monkeypatch):
    monkeypatch.setattr(files, "QUIET_SECONDS", 60)  # a busy machine may take seconds until it looks
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
    monkeypatch.setattr(files, "QUIET_SECONDS", 60)
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
    assert "not a whole packed file" in metadata["not loaded"][0]


def test_a_source_that_is_due_is_asked_for_once_and_not_while_it_is_being_read(warehouse, configure):
    configure("""
sources:
  orders: {every: PT5M, postgres: {url: "${U}", table: t, cursor: c, key: [k]}}
  hourly: {postgres: {url: "${U}", table: t, cursor: c, key: [k]}}
  quick: {every: PT10S, postgres: {url: "${U}", table: t, cursor: c, key: [k]}}
""")
    instance = dg.DagsterInstance.ephemeral()
    (first,), cursor = tick(instance)
    assert first.tags["tidemark/source"] == "orders"
    assert first.run_config["ops"]["raw__events"]["config"] == {"source": "orders"}
    assert requested(instance, cursor) == []  # five minutes have not passed
    long_ago = json.dumps({"orders": "2026-01-01T00:00:00+00:00", "gone": "2026-01-01T00:00:00+00:00"})
    (second,), cursor = tick(instance, long_ago)
    assert second.run_key != first.run_key
    assert set(json.loads(cursor)) == {"orders"}
    with dg.instance_for_test() as instance:

        @dg.job
        def reading():
            pass

        run = instance.create_run_for_job(reading, tags=second.tags, status=dg.DagsterRunStatus.STARTED)
        assert requested(instance, long_ago) == []
        instance.report_run_failed(run)
        assert len(requested(instance, long_ago)) == 1


def materialized(config: Arrivals) -> dg.ExecuteInProcessResult:
    return dg.materialize([raw_events], run_config=dg.RunConfig({"raw__events": config}), raise_on_error=False)


def test_a_check_is_red_until_what_could_not_be_read_is_mended_and_stops_nothing(warehouse, home, configure, write):
    configure("""
sources:
  native: {path: inbox/native}
  other: {path: inbox/other}
  orders: {postgres: {url: "postgresql://127.0.0.1:9/shop", table: t, cursor: c, key: [k]}}
""")
    for name, content in {"native/cut.jsonl.gz": b"\x1f\x8b\x08cut", "other/a.jsonl": b"{}\n"}.items():
        path = home / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time.time() - 60,) * 2)
    result = materialized(Arrivals())
    (check,) = result.get_asset_check_evaluations()
    assert result.success and not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert "cut.jsonl.gz is not a whole packed file" in check.description
    assert "Source 'orders': t cannot be read" in check.description and "(since 2" in check.description
    (check,) = materialized(Arrivals(source="other")).get_asset_check_evaluations()
    assert not check.passed  # another source, read well, does not hide it
    (home / "inbox" / "native" / "cut.jsonl.gz").unlink()
    config = settings().config / "sources.yml"
    config.write_text(config.read_text().partition("  orders")[0])
    (check,) = materialized(Arrivals()).get_asset_check_evaluations()
    assert check.passed


def test_a_run_over_paths_that_cannot_be_loaded_fails(warehouse, tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(b"\x1f\x8b\x08cut")
    assert not materialized(Arrivals(source="native", paths=[str(path)])).success
