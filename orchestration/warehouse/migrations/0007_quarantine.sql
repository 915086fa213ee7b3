-- What a replay needs to know of a record that was refused, and of the records that came after it.

alter table raw.quarantine
    add column format text,              -- in which its payload is written; null: that of its source
    add column root text,                -- with its position, the identity of a record that has no other
    add column dropped_at timestamptz,   -- given up for good: its payload is empty
    add constraint replayed_or_dropped check (replayed_at is null or dropped_at is null),
    add constraint dropped_for_good check (dropped_at is null or payload = '');
create index on raw.quarantine (source, load_id, position) where replayed_at is null and dropped_at is null;

-- Which record an identity was first told by. Null before this was written down: earlier than any that is in doubt.
alter table raw.identities
    add column load_id bigint,
    add column position bigint;
