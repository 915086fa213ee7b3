-- Which event each voiding event takes back. Written with the load that brought it, wherever the other one is: loaded
-- before, or later, or never. Both stay in raw.events; what counts is for `ops.voided` to say.
create table raw.voids (
    source text not null,
    event_id text not null,              -- of the voiding event
    voided_id text not null,             -- the event_id of what it takes back, in the same source
    load_id bigint not null,
    primary key (source, event_id)
);

insert into raw.voids (source, event_id, voided_id, load_id)
select source, event_id, properties ->> 'statement_id', load_id
from raw.events
where event_type = 'statement_voided' and properties ->> 'statement_id' is not null;

create index on raw.voids (source, voided_id);

-- The events that count no more for a build; outside of one, for anybody. What voids cannot be voided itself.
create view ops.voided as
select source, voided_id as event_id
from raw.voids
where load_id <= (select coalesce(nullif(ops.build_setting('up_to'), 0), 9223372036854775807))
  and (source, voided_id) not in (select source, event_id from raw.voids);
