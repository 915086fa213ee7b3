"""The asset of raw events. How a file becomes a load is in `loader`."""

from datetime import datetime
from pathlib import Path

import dagster as dg
from pydantic import Field

from orchestration.errors import TidemarkError
from orchestration.ingest import loader, sources
from orchestration.settings import tenant
from orchestration.warehouse import database, marks


class Arrivals(dg.Config):
    """What to take in. Left alone, it is every file that arrived in the watched folders."""

    source: str | None = Field(
        None, description="one source of config/sources.yml; none: all that have a watched folder"
    )
    paths: list[str] | None = Field(None, description="files or folders to load; none: the source's watched folder")
    rebuild_from: str | None = Field(None, description="compute the hours from here on again, as 2026-03-01T00:00Z")
    rebuild_to: str | None = Field(None, description="up to here, not included")


@dg.asset(key=["raw", "events"], group_name="raw", kinds={"postgres"})
def raw_events(context: dg.AssetExecutionContext, config: Arrivals) -> dg.MaterializeResult:
    """Every event, once: one row per (source, event_id). What could not be loaded stands in raw.quarantine."""
    if config.paths and not config.source:
        raise TidemarkError("These paths could be of any source: name the source beside them.")
    loads, failures = [], []
    for name in [config.source] if config.source else sources.standing():
        try:
            paths = None if config.paths is None else [Path(path) for path in config.paths]
            loads += loader.ingest(name, paths)
        except loader.FilesNotLoaded as error:
            loads += error.loads
            failures += error.failures.values()
    for sentence in failures:
        context.log.error(sentence)
    rebuilt = _rebuild(config)
    fresh = [load for load in loads if not load.is_repeat]
    counts = {
        count: sum(getattr(load, count) for load in fresh)
        for count in ("received", "loaded", "duplicate", "quarantined", "suppressed")
    }
    metadata = {"loads": len(fresh), **counts, "hours to rebuild": rebuilt, "files not loaded": failures}
    return dg.MaterializeResult(metadata=metadata)


def _rebuild(config: Arrivals) -> int:
    if not (config.rebuild_from or config.rebuild_to):
        return 0
    if not (config.rebuild_from and config.rebuild_to):
        raise TidemarkError("A rebuild needs both ends: set rebuild_from and rebuild_to.")
    start, end = _moment(config.rebuild_from), _moment(config.rebuild_to)
    if start >= end:
        raise TidemarkError(f"A rebuild goes from an earlier time to a later one, not from {start} to {end}.")
    with database.connect() as connection:
        return marks.touch_hours(connection, start, end)


def _moment(text: str) -> datetime:
    """A time as ISO 8601 writes it, in the tenant's zone when it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TidemarkError(f"{text!r} is not a time: write it as 2026-03-01 or 2026-03-01T00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=tenant().zone)


assets = [raw_events]
