"""The asset of raw events. How what arrives becomes a load is in `loader`."""

from datetime import datetime
from pathlib import Path

import dagster as dg
from pydantic import Field

from orchestration.errors import TidemarkError
from orchestration.ingest import loader, sources
from orchestration.settings import tenant
from orchestration.warehouse import database, marks, partitions


class Arrivals(dg.Config):
    """What to take in. Left alone, it is whatever arrived in any source."""

    source: str | None = Field(None, description="one source of config/sources.yml; none: all that can be looked at")
    paths: list[str] | None = Field(None, description="files or folders to load; none: what arrived in the source")
    rebuild_from: str | None = Field(None, description="compute the hours from here on again, as 2026-03-01T00:00Z")
    rebuild_to: str | None = Field(None, description="up to here, not included")


@dg.asset(
    key=["raw", "events"],
    group_name="raw",
    kinds={"postgres"},
    check_specs=[
        dg.AssetCheckSpec(
            "sources_read",
            asset=["raw", "events"],
            description="Every source that is looked at could be read, and none of its files is broken.",
        )
    ],
)
def raw_events(context: dg.AssetExecutionContext, config: Arrivals) -> dg.MaterializeResult:
    """Every event, once: one row per (source, event_id). What could not be loaded stands in raw.quarantine."""
    if config.paths and not config.source:
        raise TidemarkError("These paths could be of any source: name the source beside them.")
    paths = None if config.paths is None else [Path(path) for path in config.paths]
    loads, failures = [], []
    for name in [config.source] if config.source else sources.standing():
        try:
            loads += loader.ingest(name, paths, wait=bool(config.source))
        except loader.SourceBusy as busy:
            context.log.info(str(busy))
        except loader.NotAllLoaded as error:
            loads += error.loads
            failures += error.failures.values()
    for sentence in failures:
        context.log.error(sentence)
    if failures and paths:
        raise TidemarkError(" ".join(failures))  # nobody looks at these paths again
    with database.connect("loader", autocommit=True) as connection:
        partitions.analyze(connection)  # what comes next is planned by it
    rebuilt = _rebuild(config)
    fresh = [load for load in loads if not load.is_repeat]
    counts = {
        count: sum(getattr(load, count) for load in fresh)
        for count in ("received", "loaded", "duplicate", "quarantined", "suppressed")
    }
    metadata = {"loads": len(fresh), **counts, "hours to rebuild": rebuilt, "not loaded": failures}
    return dg.MaterializeResult(metadata=metadata, check_results=[_sources_read()])


def _sources_read() -> dg.AssetCheckResult:
    """Whether anything cannot be read: it stays red, also after runs that read other sources, until that is mended."""
    with database.connect("loader", rows=True) as connection:
        failures = loader.standing_failures(connection)
    return dg.AssetCheckResult(
        check_name="sources_read",
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(
            f"{failure['sentence']} (since {failure['since']:%Y-%m-%d %H:%M} UTC)" for failure in failures
        )
        or "All sources could be read.",
        metadata={"failures": len(failures)},
    )


def _rebuild(config: Arrivals) -> int:
    if not (config.rebuild_from or config.rebuild_to):
        return 0
    if not (config.rebuild_from and config.rebuild_to):
        raise TidemarkError("A rebuild needs both ends: set rebuild_from and rebuild_to.")
    start, end = _moment(config.rebuild_from), _moment(config.rebuild_to)
    if start >= end:
        raise TidemarkError(f"A rebuild goes from an earlier time to a later one, not from {start} to {end}.")
    with database.connect("loader") as connection:
        return marks.touch_hours(connection, start, end)


def _moment(text: str) -> datetime:
    """A time as ISO 8601 writes it, in the tenant's zone when it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TidemarkError(f"{text!r} is not a time: write it as 2026-03-01 or 2026-03-01T00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=tenant().zone)


assets = [raw_events]
