-- What a build computes again, at every grain: the hours that loads touched, what follows from them, and what stays as
-- it is because its raw events are gone.

-- Days (of UTC, as the partitions of raw.events are) whose raw events are gone.
create table ops.expired_days (
    day date primary key,
    archive text,                        -- where their events were put, if anywhere
    rows bigint,
    expired_at timestamptz not null default clock_timestamp()
);

-- The tenant's days that could be computed again only with events that are gone: those that share an hour with an
-- expired day of UTC, or lie within an hour of one. They take no events, and their figures stay as they are.
create view ops.frozen_days as
select ops.day_of(moment, ops.timezone()) as day, max(expired_days.day) as expired_day
from ops.expired_days
cross join generate_series(
    expired_days.day::timestamp at time zone 'UTC' - interval '1 hour',
    (expired_days.day + 1)::timestamp at time zone 'UTC' + interval '59 minutes',
    interval '30 minutes'
) as moment
group by 1;

-- Hours that a load changed without touching them: a late event joins a session that began hours before. Tables whose
-- rows reach over hours write them down for those that are built from them.
create table ops.ripples (
    load_id bigint not null,
    hour timestamptz not null,
    primary key (load_id, hour)
);

create view ops.changed_hours as
select load_id, hour from raw.touched_hours
union all
select load_id, hour from ops.ripples;

-- Not those of frozen days, which are found day by day: there may be thousands of them.
create or replace view ops.touched as
select hour
from (
    select distinct hour, ops.day_of(hour, ops.timezone()) as day
    from ops.changed_hours
    where load_id > ops.build_setting('after') and load_id <= ops.build_setting('up_to')
) as changed
where not exists (
    select from ops.expired_days
    where expired_days.day >= (
            (changed.day::timestamp at time zone ops.timezone() - interval '1 hour') at time zone 'UTC'
        )::date
      and expired_days.day <= (
            ((changed.day + 1)::timestamp at time zone ops.timezone() + interval '59 minutes') at time zone 'UTC'
        )::date
);

-- The touched days of each month, as bits.
create view ops.touched_months as
select
    date_trunc('month', day::timestamp)::date as month,
    bit_or(set_bit(0::bit(31), extract(day from day)::integer - 1, 1)) as days
from ops.touched_days
group by 1;

-- Weeks (from Monday), months and quarters of the tenant in which a touched day lies.
create view ops.touched_periods as
select
    grain,
    start_date,
    end_date,
    start_date::timestamp at time zone ops.timezone() as starts_at,
    end_date::timestamp at time zone ops.timezone() as ends_at
from (
    select distinct
        grain,
        date_trunc(grain, day::timestamp)::date as start_date,
        (date_trunc(grain, day::timestamp) + length)::date as end_date
    from ops.touched_days
    cross join (
        values ('week', interval '1 week'), ('month', interval '1 month'), ('quarter', interval '3 months')
    ) as grains (grain, length)
) as periods;

-- The minutes that loads touched, for the fast lane.
create view ops.touched_minutes as
select distinct minute
from raw.touched_minutes
where load_id > ops.build_setting('after') and load_id <= ops.build_setting('up_to');

-- The load at which a table's rows last changed: what reads it need not be refreshed when it has seen that one.
alter table ops.tidemarks add column moved_id bigint not null default 0;
update ops.tidemarks set moved_id = load_id;

-- The project by which each layer was last built whole: the checksum of its files.
create table ops.layers (
    layer text primary key,
    project text not null,
    built_at timestamptz not null default clock_timestamp()
);

-- As before, with each source's newest event looked up by index: loads are many.
create or replace function ops.final_before(mark bigint) returns timestamptz language sql stable as $$
    with recursive sources as (
        (select source from raw.loads order by source limit 1)
        union all
        select (
            select loads.source from raw.loads
            where loads.source > sources.source order by loads.source limit 1
        )
        from sources
        where sources.source is not null
    ),
    newest as (
        select sources.source, (
            select newest_at from raw.loads
            where loads.source = sources.source and newest_at is not null and load_id <= mark
            order by newest_at desc limit 1
        ) as newest_at
        from sources
        where sources.source is not null
    )
    select min(newest_at - coalesce(allowed_lateness, interval '1 hour'))
    from newest
    left join ops.sources using (source)
    where newest_at > (select max(newest_at) from newest) - interval '7 days'
$$;

-- A final figure that was published, and changed later.
create table marts.restatements (
    metric text not null,
    segment text not null,
    grain text not null check (grain in ('hour', 'day', 'week', 'month', 'quarter')),
    hour timestamptz,                    -- of a figure by hour
    day date,                            -- the first day of any other
    old_value numeric not null,
    new_value numeric,                   -- null: the figure vanished
    cause text not null check (cause in ('late', 'replay', 'erasure', 'rebuild', 'contract')),
    load_id bigint not null,             -- the load that brought the change
    restated_at timestamptz not null default clock_timestamp(),
    check ((grain = 'hour') = (hour is not null) and (grain = 'hour') = (day is null))
);
create index on marts.restatements (restated_at);
create index on marts.restatements (metric, segment, day);

-- The newest verdict of every gate, found gate by gate: the results grow for ever.
create or replace view ops.held_tables as
with recursive gates as (
    (select table_name from ops.gate_results order by table_name limit 1)
    union all
    select (
        select gate_results.table_name from ops.gate_results
        where gate_results.table_name > gates.table_name order by gate_results.table_name limit 1
    )
    from gates
    where gates.table_name is not null
)

select
    newest.table_name,
    (
        select min(failed.evaluated_at)
        from ops.gate_results as failed
        where failed.table_name = newest.table_name
          and failed.gate_result_id > coalesce(
              (
                  select max(gate_result_id)
                  from ops.gate_results as good
                  where good.table_name = newest.table_name and good.status <> 'failed'
              ), 0)
    ) as since,
    newest.load_id,
    coalesce(tidemarks.load_id, 0) as passed_load_id,
    (
        select newest.table_name || ': ' || string_agg(result ->> 'says', '; ' order by position)
        from jsonb_array_elements(newest.results) with ordinality as results (result, position)
        where result ->> 'severity' = 'error' and not (result ->> 'success')::boolean
    ) as sentence,
    newest.run_id,
    newest.evaluated_at
from gates
cross join lateral (
    select * from ops.gate_results
    where gate_results.table_name = gates.table_name order by gate_result_id desc limit 1
) as newest
left join ops.tidemarks on tidemarks.table_name = 'gate:' || newest.table_name
where newest.status = 'failed';

-- The hours that a failing gate on the way to the published figures has judged and not passed: whatever is published of
-- them is about to change, so it is not final.
create view ops.held_hours as
select distinct changed.hour
from ops.held_tables as held
join ops.changed_hours as changed
    on changed.load_id > held.passed_load_id and changed.load_id <= held.load_id
where held.table_name !~ '^ml[.]';

-- Values are kept in buckets of nearly equal ratio (ten to a factor of e), so that the one which holds a rank is found
-- by counts alone. A greater value never lies in a lower bucket.
create function ops.bucket_of(value double precision) returns integer
    language sql immutable parallel safe
    return case
        when value > 0 then floor(10 * ln(value))
        when value = 0 then -100000
        else -200000 - floor(10 * ln(-value))
    end::integer;
