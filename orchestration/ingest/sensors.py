"""The sensor that asks for loads: of files in the watched folders, and of the sources that are read every so often.

It looks at names, sizes and times; it reads no file and asks no server.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg
import psycopg

from orchestration.ingest.jobs import ingest
from orchestration.ingest.sources import files
from orchestration.settings import Source, sources
from orchestration.warehouse import database

SOURCE = "tidemark/source"  # the tag of a run that reads one source
_UNFINISHED = [dg.DagsterRunStatus(name) for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")]


@dg.sensor(
    job=ingest,
    description="Asks for a load of each source whose folder holds files that are new and no longer growing, "
    "and of each source that is due to be read. What is being read already is not asked for.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def arrivals(context: dg.SensorEvaluationContext):
    asked = json.loads(context.cursor or "{}")
    now = datetime.now(UTC)
    with database.connect("loader") as connection:
        for name, source in sources().items():
            if source.is_fast:
                continue  # the fast lane's
            is_watched = source.kind == "path" and not files.is_remote(source)
            keys = _found(connection, name, source) if is_watched else _due(name, source, asked.get(name), now)
            for key in keys:
                if not _is_being_read(context.instance, name):
                    asked[name] = now.isoformat()
                    yield dg.RunRequest(
                        run_key=key,
                        run_config={"ops": {"raw__events": {"config": {"source": name}}}},
                        tags={SOURCE: name},
                    )
    context.update_cursor(json.dumps({name: time for name, time in asked.items() if name in sources()}))


def _found(connection: psycopg.Connection, name: str, source: Source) -> Iterator[str]:
    """A key that says which files are there in which state: they are asked for once, until one of them changes."""
    ready = [file for file, cursor in files.arrived(connection, name, source) if files.is_ready(file, cursor)]
    if ready:
        states = "\n".join(f"{file.locator}:{file.fingerprint}:{file.is_old}" for file in ready)
        yield f"{name}:{sha256(os.fsencode(states)).hexdigest()}"


def _due(name: str, source: Source, asked: str | None, now: datetime) -> Iterator[str]:
    if source.every and (asked is None or now - datetime.fromisoformat(asked) >= source.every):
        yield f"{name}:{now.isoformat()}"


def _is_being_read(instance: dg.DagsterInstance, name: str) -> bool:
    return bool(instance.get_run_records(dg.RunsFilter(tags={SOURCE: name}, statuses=_UNFINISHED), limit=1))


sensors = [arrivals]
