"""Tide marks: the load up to which a table is complete, and the one high mark that a whole refresh builds to."""

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
    load_id = connection.execute(
        """insert into raw.loads (load_id, source, locator, checksum, received, loaded, duplicate, quarantined,
                                  suppressed, started_at, cause)
           values (nextval('raw.load_ids'), %(cause)s, %(span)s, '', 0, 0, 0, 0, 0, clock_timestamp(), %(cause)s)
           returning load_id""",
        {"cause": cause, "span": f"{start.isoformat()}/{end.isoformat()}"},
    ).fetchone()[0]
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
