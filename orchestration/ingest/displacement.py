"""What stood gives way to an earlier record of the same identity, which was in quarantine when it came.

Only a replay brings such a record. The events then are those of a world in which it was never refused.
"""

import json
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

from orchestration.ingest.contract import Reason, conflict
from orchestration.warehouse.sealing import sealed

if TYPE_CHECKING:
    import polars as pl

_REMOVE = """
    delete from raw.events using unnest(%(ids)s::text[], %(times)s::bigint[]) as first (event_id, us)
    where events.source = %(source)s and events.event_id = first.event_id and events.load_id <> %(load)s
      and events.occurred_at = to_timestamp(first.us / 1000000) + first.us %% 1000000 * interval '1 us'
    returning events.event_id, event_type, occurred_at, received_at, user_id, session_id, properties::text, load_id"""

_COUNT = """
    update raw.loads
    set loaded = loaded - 1, duplicate = duplicate + %(duplicate)s, quarantined = quarantined + %(quarantined)s,
        received = received - 1 + %(duplicate)s + %(quarantined)s
    where load_id = %(load)s"""


def displace(connection: psycopg.Connection, source: str, load_id: int, displaced: "pl.DataFrame") -> None:
    """Take out events whose identity (`event_id`) now stands in load `load_id`, at `occurred_at`.

    `first_at`, `first_load` and `first_place` say at which time it stood, and where that record came. One that told the
    same time is a duplicate now, in the ledger of its load too; one that told another time is in quarantine.
    """
    values = {"source": source, "load": load_id, "ids": displaced["event_id"].to_list()}
    with connection.cursor(row_factory=dict_row) as cursor:
        removed = cursor.execute(_REMOVE, values | {"times": displaced["first_at"].to_list()}).fetchall()
    connection.execute(
        "delete from raw.identities where identity = any(select raw.identity_of(%(source)s, unnest(%(ids)s::text[])))",
        values,
    )
    by_id = {row["event_id"]: row for row in displaced.iter_rows(named=True)}
    for event in removed:
        _account(connection, source, event, by_id[event["event_id"]])


def _account(connection: psycopg.Connection, source: str, event: dict, place: dict) -> None:
    counts = {"load": event["load_id"], "duplicate": 0, "quarantined": 0}
    if place["occurred_at"] == place["first_at"]:
        connection.execute(_COUNT, counts | {"duplicate": 1})
        return
    detail = conflict(event["event_id"], place["first_at"], place["occurred_at"])
    found = [place["first_load"], place["first_place"]]
    if event["load_id"] == place["first_load"]:
        connection.execute(_COUNT, counts | {"quarantined": 1})
        connection.execute(
            """insert into raw.quarantine (load_id, source, locator, position, reason, detail, payload, format)
               select load_id, source, locator, %s, %s, %s, %s, 'native' from raw.loads where load_id = %s""",
            [found[1], Reason.CONFLICTING_DUPLICATE, detail, sealed(_native(event)), found[0]],
        )
    else:  # it came out of quarantine itself, and goes back
        connection.execute(_COUNT, counts)
        connection.execute(
            """update raw.quarantine set replayed_at = null, reason = %s, detail = %s
               where load_id = %s and position = %s""",
            [Reason.CONFLICTING_DUPLICATE, detail, *found],
        )


def _native(event: dict) -> bytes:
    """A stored event as a native record."""
    times = {name: event[name].isoformat() for name in ("occurred_at", "received_at")}
    fields = {name: event[name] for name in ("event_id", "event_type", "user_id", "session_id")} | times
    return f'{json.dumps(fields)[:-1]}, "properties": {event["properties"]}}}'.encode()
