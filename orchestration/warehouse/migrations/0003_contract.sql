-- Which fields the events of each source and type have had, with which JSON types, kept by every load. It counts what
-- arrived and could be read, also what the contract then refused.

create table raw.fields (
    source text not null,
    event_type text not null,
    field text not null,                 -- 'score', 'context.page'; '' is the event itself
    type text not null,                  -- of JSON; a null is no field
    carried bigint not null,             -- records that had it
    arrived bigint not null,             -- records of the event type since it was first seen
    absent bigint not null,              -- of these, those of the loads after the last one that had it
    first_at timestamptz not null,       -- of event time
    last_at timestamptz not null,
    first_load_id bigint not null references raw.loads,
    last_load_id bigint not null references raw.loads,
    primary key (source, event_type, field, type)
);

-- A new field; a new type of a field; and a field that nearly every record carried and that the newest thousand do not.
-- A change of type and a vanished field stand out (`is_open`) until they are undone, or have stood for seven days of
-- event time: then they are how things are.
create view ops.schema_changes as
with types as (
    select source, event_type, last_at as newest_at, first_load_id from raw.fields where field = ''
),
kinds as (
    select fields.*, min(first_load_id) over same_field as field_load_id,
        first_value(type) over (same_field order by first_load_id, carried desc) as first_type
    from raw.fields
    where field <> ''
    window same_field as (partition by source, event_type, field)
),
whole as (
    select source, event_type, field, min(first_at) as first_at, max(last_at) as last_at,
        min(first_load_id) as first_load_id, max(last_load_id) as last_load_id,
        sum(carried) as carried, max(arrived) as arrived, min(absent) as absent
    from raw.fields
    where field <> ''
    group by source, event_type, field
)
select source, event_type, field, 'new' as change, 'is new' as detail,
    whole.first_at, whole.last_at, whole.first_load_id as load_id, false as is_open
from whole
join types using (source, event_type)
where whole.first_load_id > types.first_load_id
union all
select source, event_type, field, 'type', 'is ' || kinds.type || ', and was ' || kinds.first_type,
    kinds.first_at, kinds.last_at, kinds.first_load_id,
    kinds.absent < 1000 and types.newest_at < kinds.first_at + interval '7 days'
from kinds
join types using (source, event_type)
where kinds.first_load_id > kinds.field_load_id
union all
select source, event_type, field, 'vanished', 'is gone from the newest ' || whole.absent || ' records',
    whole.first_at, whole.last_at, whole.last_load_id,
    types.newest_at < whole.last_at + interval '7 days'
from whole
join types using (source, event_type)
where whole.absent >= 1000
  and (whole.arrived - whole.carried - whole.absent) * 100 <= whole.carried
  and types.newest_at > whole.last_at;
