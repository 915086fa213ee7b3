"""Tide marks: the load up to which a table is complete, and the one high mark that a whole refresh builds to."""

from collections.abc import Sequence
from datetime import datetime

import psycopg

LOAD_LOCK = 7_461_002  # who takes a load_id holds it until the commit: so load_id grows in commit order


def high_mark(connection: psycopg.Connection, run_id: str) -> int:
    """The newest committed load when this run first asked, 0 before the first load. The same for all its steps."""
    connection.execute(
        """insert into ops.refreshes (run_id, high_mark)
           select %s, coalesce(max(load_id), 0) from raw.loads
           on conflict (run_id) do nothing""",
        [run_id],
    )
    return connection.execute("select high_mark from ops.refreshes where run_id = %s", [run_id]).fetchone()[0]


def mark(connection: psycopg.Connection, table_name: str) -> int:
    """The load up to which a table is complete, 0 when it was never built."""
    row = connection.execute("select load_id from ops.tidemarks where table_name = %s", [table_name]).fetchone()
    return row[0] if row else 0


def set_mark(connection: psycopg.Connection, table_name: str, load_id: int) -> None:
    """Move a table's mark; call it in the transaction that wrote the table."""
    connection.execute(
        """insert into ops.tidemarks (table_name, load_id) values (%s, %s)
           on conflict (table_name) do update set load_id = excluded.load_id, built_at = clock_timestamp()""",
        [table_name, load_id],
    )


def touched_hours(connection: psycopg.Connection, after: int, up_to: int) -> int:
    """How many hours of event time the loads in (after, up_to] changed."""
    query = "select count(distinct hour) from ops.changed_hours where load_id > %s and load_id <= %s"
    return connection.execute(query, [after, up_to]).fetchone()[0]


def touch_hours(connection: psycopg.Connection, start: datetime, end: datetime, cause: str = "rebuild") -> int:
    """Have the next refresh compute every hour in [start, end) again: a load without events that touches them.

    What it changes of final figures is restated with `cause`, one of `raw.loads`. Returns the number of its hours.
    The hours are those of the events that are there, and those that ever had any.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", [LOAD_LOCK])
    load_id = _open(connection, cause, f"{start.isoformat()}/{end.isoformat()}")
    span = {"load": load_id, "start": start, "end": end}
    hours = connection.execute(
        """insert into raw.touched_hours (load_id, hour)
           select %(load)s, hour from raw.touched_hours where hour >= %(start)s and hour < %(end)s
           union
           select %(load)s, ops.hour_of(occurred_at, ops.timezone())
           from raw.events where occurred_at >= %(start)s and occurred_at < %(end)s""",
        span,
    ).rowcount
    connection.execute(
        """insert into raw.touched_minutes (load_id, minute)
           select %(load)s::bigint, minute from raw.touched_minutes where minute >= %(start)s and minute < %(end)s
           union
           select %(load)s, date_trunc('minute', occurred_at)
           from raw.events
           where occurred_at >= %(start)s and occurred_at < %(end)s
             and occurred_at > (select max(newest_at) from raw.loads) - interval '2 days'""",
        span,
    )
    return hours


def touch_moments(connection: psycopg.Connection, moments: Sequence[datetime], cause: str, what: str) -> int:
    """Have the next refresh compute again the hours in which these moments lie; return the load that says so.

    The caller holds the loads' lock. `what` is the load's locator.
    """
    load_id = _open(connection, cause, what)
    values = {"load": load_id, "moments": list(moments)}
    connection.execute(
        """insert into raw.touched_hours (load_id, hour)
           select distinct %(load)s::bigint, ops.hour_of(moment, ops.timezone())
           from unnest(%(moments)s::timestamptz[]) as moment""",
        values,
    )
    connection.execute(
        """insert into raw.touched_minutes (load_id, minute)
           select distinct %(load)s::bigint, date_trunc('minute', moment)
           from unnest(%(moments)s::timestamptz[]) as moment
           where moment > (select max(newest_at) from raw.loads) - interval '2 days'""",
        values,
    )
    return load_id


def touch_between(connection: psycopg.Connection, load_id: int, one: datetime | None, other: datetime | None) -> int:
    """Touch the hours between two horizons of finality, where it moved; return how many hours the load touches."""
    connection.execute(
        """insert into raw.touched_hours (load_id, hour)
           select distinct %(load)s::bigint, ops.hour_of(moment, ops.timezone())
           from generate_series(
               least(%(one)s::timestamptz, %(other)s) - interval '1 hour', greatest(%(one)s, %(other)s),
               interval '1 hour'
           ) as moment
           where %(one)s::timestamptz <> %(other)s
           on conflict do nothing""",
        {"load": load_id, "one": one, "other": other},
    )
    query = "select count(*) from raw.touched_hours where load_id = %s"
    return connection.execute(query, [load_id]).fetchone()[0]


def _open(connection: psycopg.Connection, cause: str, what: str) -> int:
    """The ledger row of a load without events."""
    return connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at, cause)
           values (nextval('raw.load_ids'), %(cause)s, %(what)s, '', 0, 0, 0, 0, 0, clock_timestamp(), %(cause)s)
           returning load_id""",
        {"cause": cause, "what": what},
    ).fetchone()[0]
