"""The partitions of `raw.events`, one a UTC day: made, analyzed, let go. When they go is for retention to say."""

from collections.abc import Iterable
from datetime import date, timedelta

import psycopg
from psycopg import sql


def name_of(day: date) -> str:
    """The name of a day's partition in the schema `raw`."""
    return f"events_{day:%Y%m%d}"


def ensure(connection: psycopg.Connection, days: Iterable[date]) -> None:
    """Create the partitions of these UTC days that do not exist yet, in the caller's transaction.

    Two transactions must not do this for the same day at once; the loads' lock (`marks.LOAD_LOCK`) sees to it.
    """
    names = {name_of(day): day for day in sorted(days)}
    query = "select relname from pg_class where relnamespace = 'raw'::regnamespace and relname = any(%s)"
    for (name,) in connection.execute(query, [list(names)]).fetchall():
        del names[name]
    statements = [f"create table raw.{name} (like raw.events including all); {_attach(names[name])}" for name in names]
    if statements:
        connection.execute("\n".join(statements))  # one round trip, whatever their number


def attach(connection: psycopg.Connection, day: date) -> None:
    """Make the table `raw.<name_of(day)>` a partition. Readers go on reading meanwhile."""
    connection.execute(_attach(day))


def _attach(day: date) -> str:
    # A table of its own that is attached when it is complete: unlike `partition of`, that blocks no reader.
    # Whoever made it, it is the loader's, as all of raw.events is.
    return f"""alter table raw.{name_of(day)} owner to loader;
               alter table raw.events attach partition raw.{name_of(day)}
               for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00');"""


def stored_days(connection: psycopg.Connection) -> list[date]:
    """The UTC days that have a partition, in order."""
    query = r"""
        select to_date(substr(relname, 8), 'YYYYMMDD')
        from pg_inherits join pg_class on oid = inhrelid
        where inhparent = 'raw.events'::regclass and relname ~ '^events_\d{8}$'
        order by 1"""
    return [day for (day,) in connection.execute(query).fetchall()]


def drop(connection: psycopg.Connection, day: date) -> None:
    """Let a day's partition go; one that a killed session left half detached, too. The connection commits by itself.

    It waits for those who read `raw.events` to finish, and nobody waits for it.
    """
    query = """
        select coalesce(inhdetachpending, false), inhrelid is not null
        from pg_class left join pg_inherits on inhrelid = oid and inhparent = 'raw.events'::regclass
        where oid = to_regclass(%s)"""
    found = connection.execute(query, [f"raw.{name_of(day)}"]).fetchone()
    if found is None:
        return
    is_pending, is_attached = found
    partition = sql.Identifier("raw", name_of(day))
    if is_attached:
        how = sql.SQL("finalize" if is_pending else "concurrently")
        connection.execute(sql.SQL("alter table raw.events detach partition {} {}").format(partition, how))
    connection.execute(sql.SQL("drop table {}").format(partition))


def drop_empty(connection: psycopg.Connection, day: date) -> None:
    """Drop a partition without rows, in the caller's transaction, which lets no load in; unless somebody reads on."""
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '1s'")
            connection.execute(sql.SQL("drop table {}").format(sql.Identifier("raw", name_of(day))))
    except psycopg.errors.LockNotAvailable:
        pass  # the next time will do


def analyze(connection: psycopg.Connection) -> int:
    """Bring the statistics of the partitions that were filled since up to date; return how many they were.

    Without them the planner takes a fresh partition for an empty one, and joins as if it were.
    """
    query = """
        select relname
        from pg_stat_user_tables
        where schemaname = 'raw' and relname like 'events\\_%'
          and n_mod_since_analyze > 500 + n_live_tup / 10"""
    names = [name for (name,) in connection.execute(query).fetchall()]
    for name in names:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("raw", name)))
    return len(names)


def frozen_days(connection: psycopg.Connection) -> dict[date, date]:
    """The tenant's days that cannot be computed again, each with the UTC day whose events are gone for it."""
    return dict(connection.execute("select day, expired_day from ops.frozen_days").fetchall())
