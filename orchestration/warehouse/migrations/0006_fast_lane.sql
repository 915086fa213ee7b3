-- How long events take to be seen, and what keeps them from it.

-- Stamped by the fast lane for each load whose events lie in the newest two days: when the first of them was received,
-- when the load was committed, when the minute tables held it, and when `api` showed it.
create table ops.load_stamps (
    load_id bigint primary key references raw.loads,
    events bigint not null,              -- of those two days
    received_at timestamptz not null,
    loaded_at timestamptz not null,
    aggregated_at timestamptz not null,
    visible_at timestamptz               -- none while the minutes are held back
);
create index on ops.load_stamps (loaded_at);

-- Why the fast lane publishes no minutes now: no row while it does.
create table ops.held_minutes (
    is_only boolean primary key default true check (is_only),
    sentence text not null,
    since timestamptz not null default clock_timestamp()
);

-- The newest event of all loads is looked up by each load and by each build.
create index on raw.loads (newest_at);
