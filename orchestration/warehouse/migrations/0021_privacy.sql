-- Who was erased, and stays out; what people agreed to; which fields may be personal; what retention let go.

create table ops.erasures (
    erasure_id bigint generated always as identity primary key,
    reason text not null,
    actor text not null,
    begun_at timestamptz not null default clock_timestamp(),
    load_id bigint,                      -- the load that touched the hours of what was removed; none: nothing was
    completed_at timestamptz,            -- when a search found nothing any more; none: something remains
    certificate text                     -- its path under TIDEMARK_HOME
);

-- Names of those who were erased, of which only a keyed hash is known and how long they are. TIDEMARK_HOME has the same
-- list in suppressed.jsonl, so that it outlives this database.
create table ops.suppressed (
    hash bytea primary key,
    length integer not null,             -- in characters
    erasure_id bigint not null,
    since timestamptz not null default clock_timestamp()
);

-- Models that learned from somebody who was erased since are to be trained again until then.
alter table ml.models add column retrain_by timestamptz;

-- What people agreed to, by event, wherever it comes in time: as `raw.voids`, it is written with its load.
create table raw.consents (
    source text not null,
    event_id text not null,
    user_id text not null,
    purpose text not null check (purpose in ('analytics', 'models', 'reports')),
    is_given boolean not null,
    occurred_at timestamptz not null,
    load_id bigint not null,
    primary key (source, event_id, purpose)
);
create index on raw.consents (user_id, purpose, occurred_at);

-- Since when, and until when, somebody is left out of a purpose. Who never said anything is not.
create view ops.without_consent as
select user_id, purpose, occurred_at as since, until
from (
    select
        user_id,
        purpose,
        is_given,
        occurred_at,
        lead(occurred_at) over (
            partition by user_id, purpose order by occurred_at, is_given, source, event_id
        ) as until
    from raw.consents
    where load_id <= (select coalesce(nullif(ops.build_setting('up_to'), 0), 9223372036854775807))
) as stated
where not is_given and until is distinct from occurred_at;

-- Of a day that is not whole, only some types of events are gone. It is frozen all the same.
alter table ops.expired_days
    add column is_whole boolean not null default true,
    add column event_types text[] not null default '{}';

-- Text fields that nobody declared to be personal, and whose values look as if they were.
create table raw.personal_fields (
    source text not null,
    event_type text not null,
    field text not null,                 -- 'comment', 'context.page'
    kind text not null,                  -- mail, telephone, ip, card, iban, name
    sampled bigint not null,             -- values that were looked at
    hits bigint not null,                -- of these, those that are of this kind
    handling text not null check (handling in ('mask', 'drop', 'report')),
    first_load_id bigint not null references raw.loads,
    last_load_id bigint not null references raw.loads,
    primary key (source, event_type, field, kind)
);
