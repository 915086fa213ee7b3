"""The fast lane: what arrives of fast sources is loaded, counted by minutes and published within seconds.

Starting a run costs more than a round of the lane, so one run goes many rounds. Every ten minutes a sensor asks for its
successor: that one makes itself ready, waits for the lane, and has it as soon as the round is over.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter

import dagster as dg
import psycopg

from orchestration.errors import TidemarkError
from orchestration.gates import minutes
from orchestration.ingest import loader
from orchestration.settings import sources
from orchestration.transform import project
from orchestration.transform.assets import specs
from orchestration.warehouse import database, marks

LANE_LOCK = 7_461_010
HAND_OVER = timedelta(minutes=10)  # after which a successor is asked for
RETRY = timedelta(minutes=1)  # after a run that failed
PATIENCE_SECONDS = 300  # for a round, which takes seconds
TABLES, PUBLISHED = "fast", "fast fast_published"  # dbt's layers

Say = Callable[[str], None]


def fast_sources() -> dict[str, float]:
    """The sources of the fast lane: every how many seconds each is read."""
    return {name: source.every.total_seconds() for name, source in sources().items() if source.is_fast}


@contextmanager
def in_the_lane() -> Iterator[psycopg.Connection]:
    """Wait until whoever is in the lane has left it. Raises TidemarkError when that takes minutes."""
    with database.connect("transformer", autocommit=True) as connection:
        connection.execute(f"set lock_timeout = '{PATIENCE_SECONDS}s'")
        try:
            connection.execute("select pg_advisory_lock(%s)", [LANE_LOCK])
        except psycopg.errors.LockNotAvailable:
            raise TidemarkError(
                f"The fast lane was not free within {PATIENCE_SECONDS} seconds: look at its older run in the UI."
            ) from None
        connection.execute("set lock_timeout = 0")
        yield connection


def run(say: Say, is_over: Callable[[psycopg.Connection], bool]) -> None:
    """Go round after round until `is_over`. `say` is told what cannot be read or published, when that changes."""
    make_ready()
    with in_the_lane() as connection:
        forget_old(connection)
        due: dict[str, float] = {}
        told: dict[str, str] = {}
        while not is_over(connection):
            began = time.monotonic()
            every = fast_sources()
            due = {name: due.get(name, began) for name in every}
            for name in every:
                if due[name] <= began:
                    due[name] = began + every[name]
                    _tell_changes(say, told, name, take_in(name))
            _tell_changes(say, told, "minutes", "; ".join(build(connection)))
            time.sleep(max(0, min(due.values(), default=began + 1) - time.monotonic()))


def make_ready() -> None:
    """What takes its time, while another run is still in the lane: imports, and tables that are not there.

    A table that is defined otherwise now is made anew, up to where it stood; of the others nothing is computed.
    """
    import polars  # noqa: F401

    with database.connect("transformer") as connection:
        published = marks.mark(connection, "views.metric_minutes")
    project.build(f"staging {PUBLISHED}", published)


def _tell_changes(say: Say, told: dict[str, str], subject: str, sentence: str) -> None:
    if told.get(subject, "") != sentence:
        told[subject] = sentence
        say(f"{subject}: {sentence or 'in order again'}")


def take_in(name: str) -> str:
    """Load what a source has; return why it could not, or an empty sentence. Somebody else reading it is no fault."""
    try:
        loader.ingest(name, wait=False)
    except loader.SourceBusy:
        pass
    except TidemarkError as error:
        return str(error)
    return ""


def build(connection: psycopg.Connection) -> list[str]:
    """Bring the minute tables to the newest load, and publish them unless they are held: returns why they are."""
    high = _newest_load(connection)
    counted, published = marks.mark(connection, "marts.metric_minutes"), marks.mark(connection, "views.metric_minutes")
    if published == high:
        return []
    held = minutes.why_held(connection, published, high)
    if not held:
        project.build(PUBLISHED, high)
    elif counted < high:
        project.build(TABLES, high)
    with connection.transaction():
        _stamp(connection, counted if counted else high, high, is_visible=not held)  # what was there before is no news
        _keep_held(connection, "; ".join(held))
    return held


def _newest_load(connection: psycopg.Connection) -> int:
    return connection.execute("select coalesce(max(load_id), 0) from raw.loads").fetchone()[0]


def _stamp(connection: psycopg.Connection, counted: int, high: int, is_visible: bool) -> None:
    """Write down when the minute tables held each load in (counted, high], and when `api` showed those up to `high`.

    A load counts as received when the first hundredth of its events was: one event that was long on its way before it
    came to us does not make all of them late.
    """
    connection.execute(
        """insert into ops.load_stamps (load_id, events, received_at, loaded_at, aggregated_at)
           select loads.load_id, seen.events, seen.received_at, loads.committed_at, built.built_at
           from raw.loads
           join ops.tidemarks as built on built.table_name = 'marts.metric_minutes'
           cross join lateral (
               select count(*) as events, percentile_disc(0.01) within group (order by received_at) as received_at
               from raw.touched_minutes as touched
               cross join lateral (
                   select received_at from raw.events
                   where occurred_at >= touched.minute and occurred_at < touched.minute + interval '1 minute'
                     and events.load_id = loads.load_id
                   offset 0
               ) as events
               where touched.load_id = loads.load_id
           ) as seen
           where loads.load_id > %s and loads.load_id <= %s and seen.events > 0""",
        [counted, high],
    )
    if is_visible:
        connection.execute(
            "update ops.load_stamps set visible_at = clock_timestamp() where visible_at is null and load_id <= %s",
            [high],
        )


def _keep_held(connection: psycopg.Connection, sentence: str) -> None:
    if not sentence:
        connection.execute("delete from ops.held_minutes")
    else:
        connection.execute(
            """insert into ops.held_minutes (sentence) values (%s)
               on conflict (is_only) do update set sentence = excluded.sentence""",
            [sentence],
        )


def forget_old(connection: psycopg.Connection) -> None:
    """Leave what is older than the minute tables go: touched minutes by the time of events, stamps by the clock."""
    connection.execute(
        "delete from raw.touched_minutes where minute <= (select max(newest_at) from raw.loads) - interval '2 days'"
    )
    connection.execute("delete from ops.load_stamps where loaded_at < now() - interval '2 days'")


# Dagster ---------------------------------------------------------------------------------------------------------

_nodes = project.nodes()
_specs = {spec.key: spec for layer in PUBLISHED.split() for spec in specs(_nodes, layer)}
_order = TopologicalSorter({key: [dep.asset_key for dep in spec.deps] for key, spec in _specs.items()}).static_order()
KEYS = [key for key in _order if key in _specs]  # as data flows: so Dagster wants them


@dg.multi_asset(
    name="fast_lane",
    specs=list(_specs.values()),
    description="Loads what arrives of fast sources, counts it by minutes and publishes it, round after round.",
    can_subset=False,
)
def fast_lane(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    until = time.monotonic() + 2 * HAND_OVER.total_seconds()
    run(context.log.info, lambda connection: time.monotonic() > until or _is_awaited(connection))
    with database.connect("transformer") as connection:
        mark = marks.mark(connection, "views.metric_minutes")
    for key in KEYS:
        yield dg.MaterializeResult(asset_key=key, metadata={"tide mark": mark})


def _is_awaited(connection: psycopg.Connection) -> bool:
    """Whether another run waits for the lane."""
    query = """select exists (
                   select from pg_locks
                   where locktype = 'advisory' and not granted and classid = 0 and objid = %s and objsubid = 1
                     and database = (select oid from pg_database where datname = current_database()))"""
    return connection.execute(query, [LANE_LOCK]).fetchone()[0]


fast = dg.define_asset_job(
    "fast",
    selection=dg.AssetSelection.assets(*KEYS),
    description="The fast lane: goes on loading, counting and publishing the newest minutes until its successor is "
    "ready. Waits for no other job, and no other waits for it.",
)


@dg.sensor(
    job=fast,
    name="fast_lane_runs",
    description="Keeps one run in the fast lane while config/sources.yml has fast sources, and has it relieved by a "
    "fresh one every ten minutes.",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def fast_lane_runs(context: dg.SensorEvaluationContext):
    if not fast_sources():
        return dg.SkipReason("No source in config/sources.yml is read more often than once a minute.")
    newest = context.instance.get_run_records(dg.RunsFilter(job_name=fast.name), limit=1)
    if newest and not is_due(newest[0], datetime.now(UTC)):
        return dg.SkipReason("A run is in the lane, or one failed a moment ago.")
    return dg.RunRequest()


def is_due(newest: dg.RunRecord, now: datetime) -> bool:
    """Whether the lane needs another run: a successor, or one after a run that ended."""
    age = now - newest.create_timestamp
    return age > HAND_OVER or (newest.dagster_run.is_finished and age > RETRY)


assets, jobs, sensors = [fast_lane], [fast], [fast_lane_runs]
