"""The daily partitions of `raw.events`, made when the first event of a day arrives."""

from collections.abc import Iterable
from datetime import date, timedelta

import psycopg


def ensure(connection: psycopg.Connection, days: Iterable[date]) -> None:
    """Create the partitions of these UTC days that do not exist yet, in the caller's transaction.

    A table of its own that is attached when it is complete: unlike `partition of`, that blocks no reader. Two
    transactions must not do this for the same day at once; loads hold a lock that sees to it.
    """
    names = {f"events_{day:%Y%m%d}": day for day in sorted(days)}
    query = "select relname from pg_class where relnamespace = 'raw'::regnamespace and relname = any(%s)"
    for (name,) in connection.execute(query, [list(names)]).fetchall():
        del names[name]
    statements = [
        f"""create table raw.{name} (like raw.events including all);
            alter table raw.events attach partition raw.{name}
            for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00');"""
        for name, day in names.items()
    ]
    if statements:
        connection.execute("\n".join(statements))  # one round trip, whatever their number
