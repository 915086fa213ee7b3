"""Which fields the events of each source and type have had: kept by every load, told by `ops.schema_changes`."""

import psycopg

from orchestration.ingest.schemas import MAX_FIELDS, FieldsSeen

# What is new is followed only as long as a type has fewer fields than this: objects keyed by values have no end.
_RECORD = """
    with arrived as (
        select * from unnest(%(types)s::text[], %(paths)s::text[], %(kinds)s::text[],
                             %(records)s::bigint[], %(first)s::bigint[], %(last)s::bigint[])
            as arrived (event_type, field, type, records, first_us, last_us)
    ),
    totals as (select event_type, records from arrived where field = ''),
    known as (
        select event_type, count(*) as fields from raw.fields
        where source = %(source)s and event_type = any(%(types)s) group by event_type
    ),
    without as (
        update raw.fields
        set arrived = fields.arrived + totals.records,
            absent = fields.absent + case when fields.last_load_id < %(load)s then totals.records else 0 end
        from totals
        where fields.source = %(source)s and fields.event_type = totals.event_type
          and fields.first_load_id <= %(load)s
          and not exists (
              select from arrived where (arrived.event_type, arrived.field, arrived.type)
                                        = (fields.event_type, fields.field, fields.type))
    )
    insert into raw.fields as stored (source, event_type, field, type, carried, arrived, absent, first_at, last_at,
                                      first_load_id, last_load_id)
    select %(source)s, event_type, field, type, arrived.records, totals.records, 0,
           to_timestamp(first_us / 1e6), to_timestamp(last_us / 1e6), %(load)s, %(load)s
    from arrived
    join totals using (event_type)
    left join known using (event_type)
    where coalesce(known.fields, 0) < %(most)s
       or exists (select from raw.fields where (fields.source, fields.event_type, fields.field, fields.type)
                                               = (%(source)s, arrived.event_type, arrived.field, arrived.type))
    on conflict (source, event_type, field, type) do update
    set carried = stored.carried + excluded.carried,
        arrived = stored.arrived + excluded.arrived,
        absent = case when stored.last_load_id <= excluded.last_load_id then 0 else stored.absent end,
        first_at = least(stored.first_at, excluded.first_at),
        last_at = greatest(stored.last_at, excluded.last_at),
        first_load_id = least(stored.first_load_id, excluded.first_load_id),
        last_load_id = greatest(stored.last_load_id, excluded.last_load_id)"""


def record(connection: psycopg.Connection, source: str, load_id: int, seen: FieldsSeen) -> None:
    """Keep which fields records of a load had; of an earlier load, too, whose records can be read only now."""
    rows = [
        (event_type, path, json_type, one.records, one.first_us, one.last_us)
        for event_type, fields in seen.items()
        for (path, json_type), one in fields.items()
    ]
    if rows:
        names = ("types", "paths", "kinds", "records", "first", "last")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        connection.execute(_RECORD, {"source": source, "load": load_id, "most": MAX_FIELDS, **columns})
