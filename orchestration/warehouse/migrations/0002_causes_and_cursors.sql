-- Why a load is there, where each source stands, and which minutes of the newest days a load touched.

alter table raw.loads add column cause text not null default 'arrival'
    check (cause in ('arrival', 'replay', 'rebuild', 'erasure', 'contract'));
update raw.loads set cause = 'rebuild' where source = 'rebuild';

-- Where a source stands, written in the transaction of the load that took it there. What a cursor holds is its kind of
-- source's affair: a file's size and time, a table's newest key, a stream's offset.
create table raw.cursors (
    source text not null,
    locator text not null,
    cursor jsonb not null,
    load_id bigint not null references raw.loads,
    primary key (source, locator)
);
insert into raw.cursors (source, locator, cursor, load_id)
select source, locator, jsonb_build_object('size', size, 'modified_ns', modified_ns), load_id from raw.files;
drop table raw.files;

-- As raw.touched_hours, minute by minute, for the two days of event time before the newest event: what the fast lane
-- computes again. Older minutes have no buckets.
create table raw.touched_minutes (
    load_id bigint not null references raw.loads,
    minute timestamptz not null,
    primary key (load_id, minute)
);
