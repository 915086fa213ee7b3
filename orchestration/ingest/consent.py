"""What people agree to: events `consent_given` and `consent_withdrawn` say it for one purpose or several.

`ops.without_consent` says who is left out of what, and since when; staging leaves out of the figures what somebody did
while they did not agree to analytics. The times that are returned here are those whose hours change by it.
"""

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    import polars as pl

GIVEN, WITHDRAWN = "consent_given", "consent_withdrawn"

_STATE = """
    insert into raw.consents (source, event_id, user_id, purpose, is_given, occurred_at, load_id)
    select %(source)s, event_id, user_id, purpose, event_type = 'consent_given',
           to_timestamp(us / 1000000) + us %% 1000000 * interval '1 us', %(load)s
    from unnest(%(ids)s::text[], %(users)s::text[], %(types)s::text[], %(times)s::bigint[], %(properties)s::text[])
        as stated (event_id, user_id, event_type, us, properties)
    cross join lateral jsonb_array_elements_text(
        case when jsonb_typeof(properties::jsonb -> 'purpose') = 'array' then properties::jsonb -> 'purpose'
             else jsonb_build_array(properties::jsonb -> 'purpose') end
    ) as purposes (purpose)
    where user_id is not null and purpose in ('analytics', 'models', 'reports')
    on conflict do nothing"""

# What these people did since, in earlier loads: those of this load are touched anyway.
_SINCE = """
    select (extract(epoch from events.occurred_at) * 1000000)::bigint
    from (
        select user_id, min(occurred_at) as since from raw.consents
        where source = %(source)s and event_id = any(%(ids)s) and purpose = 'analytics' group by user_id
    ) as stated
    join raw.events on events.user_id = stated.user_id and events.occurred_at >= stated.since
    where events.load_id <> %(load)s and events.occurred_at >= %(first)s"""


def state(connection: psycopg.Connection, source: str, load_id: int, events: "pl.DataFrame") -> list[int]:
    """Write down what these events, just stored, state. Returns the times that it changes, in µs since 1970."""
    stating = events.filter(events["event_type"].is_in([GIVEN, WITHDRAWN]))
    if stating.is_empty():
        return []
    values = {"source": source, "load": load_id, "ids": stating["event_id"].to_list()}
    columns = {"users": "user_id", "types": "event_type", "times": "occurred_at", "properties": "properties"}
    connection.execute(_STATE, values | {name: stating[column].to_list() for name, column in columns.items()})
    return _times_since(connection, values, stating["occurred_at"].min())


def forget(connection: psycopg.Connection, source: str, event_ids: list[str]) -> list[int]:
    """Forget what these events, just taken out, stated. Returns the times that it changes."""
    values = {"source": source, "load": 0, "ids": event_ids}
    query = """
        select (extract(epoch from min(occurred_at)) * 1000000)::bigint from raw.consents
        where source = %(source)s and event_id = any(%(ids)s)"""
    (first_us,) = connection.execute(query, values).fetchone()
    if first_us is None:
        return []
    times = _times_since(connection, values, first_us)
    connection.execute("delete from raw.consents where source = %(source)s and event_id = any(%(ids)s)", values)
    return times


def _times_since(connection: psycopg.Connection, values: dict, first_us: int) -> list[int]:
    query = "select to_timestamp(%s / 1e6), max(newest_at) from raw.loads where load_id <> %s"
    first, newest = connection.execute(query, [first_us, values["load"]]).fetchone()
    if newest is None or newest < first:  # as a rule: nobody did anything since
        return []
    return [time for (time,) in connection.execute(_SINCE, values | {"first": first}).fetchall()]
