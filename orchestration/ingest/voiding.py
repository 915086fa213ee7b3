"""An event may void another one of its source, as xAPI has it: `raw.voids` says which one, whenever either comes.

Both stay in `raw.events`; staging leaves out what `ops.voided` lists. The times that are returned here are those whose
hours change by it.
"""

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    import polars as pl

VOIDING = "statement_voided"  # an event of this type names the other one in its property `statement_id`

_VOID = """
    insert into raw.voids (source, event_id, voided_id, load_id)
    select %(source)s, event_id, properties::jsonb ->> 'statement_id', %(load)s
    from unnest(%(ids)s::text[], %(properties)s::text[]) as voiding (event_id, properties)
    where properties::jsonb ->> 'statement_id' is not null
    returning voided_id"""

_UNVOID = "delete from raw.voids where source = %(source)s and event_id = any(%(ids)s) returning voided_id"


def void(connection: psycopg.Connection, source: str, load_id: int, events: "pl.DataFrame") -> list[int]:
    """Write down what these events, just stored, void. Returns when that was, in microseconds since 1970."""
    voiding = events.filter(events["event_type"] == VOIDING)
    if voiding.is_empty():
        return []
    values = {"ids": voiding["event_id"].to_list(), "properties": voiding["properties"].to_list()}
    return _times_of(connection, source, _VOID, values | {"load": load_id})


def unvoid(connection: psycopg.Connection, source: str, event_ids: list[str]) -> list[int]:
    """Forget what these events, just taken out, voided. Returns when that was, in microseconds since 1970."""
    return _times_of(connection, source, _UNVOID, {"ids": event_ids})


def _times_of(connection: psycopg.Connection, source: str, change: str, values: dict) -> list[int]:
    query = f"""
        with changed as ({change})
        select (extract(epoch from occurred_at) * 1000000)::bigint
        from changed join raw.identities on identity = raw.identity_of(%(source)s, voided_id)"""
    return [time for (time,) in connection.execute(query, values | {"source": source}).fetchall()]
