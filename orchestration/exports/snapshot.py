"""One moment of the warehouse, seen by two connections: the reader's, and the owner's who knows the tide marks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from orchestration.warehouse import access, database

# What a table is stored in: itself, or what it reads, down to the first tables that have a tide mark.
_STORED = """
with recursive below (oid) as (
    select %(table)s::regclass::oid
    union
    select pg_depend.refobjid
    from below
    join pg_rewrite on pg_rewrite.ev_class = below.oid
    join pg_depend on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = pg_rewrite.oid
        and pg_depend.refclassid = 'pg_class'::regclass and pg_depend.refobjid <> below.oid
    where not exists (
        select from ops.tidemarks
        where table_name = (select relnamespace::regnamespace || '.' || relname from pg_class where oid = below.oid)
    )
)
select
    tidemarks.table_name,
    tidemarks.load_id,
    tidemarks.built_at,
    definitions.definition,
    (
        select array_agg(attname::text order by attnum)
        from pg_index
        join pg_attribute on attrelid = indrelid and attnum = any(indkey)
        where indrelid = below.oid and indisprimary
    ) as key
from below
join pg_class on pg_class.oid = below.oid
join ops.tidemarks on tidemarks.table_name = relnamespace::regnamespace || '.' || relname
left join ops.definitions on definitions.relation = tidemarks.table_name
order by 1
"""


@dataclass(frozen=True)
class Stored:
    """A table with a tide mark that an export reads. `definition` and `key` are None where it has none."""

    table_name: str
    load_id: int
    built_at: datetime
    definition: str | None
    key: list[str] | None


@contextmanager
def reading(login: str | None) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """The reader's connection and the owner's, in one read-only snapshot; both end with the block."""
    if login:
        access.admit(login)  # before the snapshot, which would not see what it changes
    with database.connect("report") as owner:
        owner.execute("set transaction isolation level repeatable read")
        snapshot = owner.execute("select pg_export_snapshot()").fetchone()[0]
        with access.reader(login, snapshot) as reader:
            reader.execute("set local timezone = 'UTC'")
            reader.execute("set local datestyle = 'ISO'")
            reader.execute("set local intervalstyle = 'iso_8601'")
            yield reader, owner
        owner.rollback()


def stored(connection: psycopg.Connection, table: str) -> list[Stored]:
    """The tables with tide marks that a table reads."""
    return [Stored(*row) for row in connection.execute(_STORED, {"table": table}).fetchall()]
