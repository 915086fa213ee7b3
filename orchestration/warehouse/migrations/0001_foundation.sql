-- The tables through which the stages meet. What dbt builds is not here.

create schema raw;
create schema staging;
create schema intermediate;
create schema marts;
create schema views;
create schema api;
create schema ml;

-- Tenant ---------------------------------------------------------------------------------------------------------

create table ops.tenant (
    is_only boolean primary key default true check (is_only),
    name text not null,
    timezone text not null,
    currency text not null
);
insert into ops.tenant (name, timezone, currency) values ('Tidemark', 'UTC', 'EUR');

-- The hour of a time, as the tenant's clock strikes it: zones off by half an hour have hours that begin at :30 UTC,
-- and the repeated hour of autumn stays apart from its twin.
create function ops.hour_of(moment timestamptz, zone text) returns timestamptz
    language sql immutable parallel safe
    return moment - ((moment at time zone zone) - date_trunc('hour', moment at time zone zone));

create function ops.day_of(moment timestamptz, zone text) returns date
    language sql immutable parallel safe
    return (moment at time zone zone)::date;

create function ops.timezone() returns text language sql stable parallel safe
    return (select timezone from ops.tenant);

-- A property as a number: a JSON number, or a string that is one (tables have no types); anything else is null.
create function ops.number_of(value jsonb) returns numeric language sql immutable parallel safe
    return case
        when jsonb_typeof(value) = 'number' then (value #>> '{}')::numeric
        when jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[+-]?[0-9]{1,30}([.][0-9]{1,30})?$'
            then (value #>> '{}')::numeric
    end;

-- Raw ------------------------------------------------------------------------------------------------------------

create sequence raw.load_ids;

create table raw.loads (
    load_id bigint primary key,          -- taken under a lock: grows in commit order
    source text not null,
    locator text not null,               -- a file's path, a table's name, an address
    checksum text not null,
    received bigint not null,
    loaded bigint not null,
    duplicate bigint not null,
    quarantined bigint not null,
    suppressed bigint not null,
    newest_at timestamptz,               -- the newest occurred_at that it loaded
    started_at timestamptz not null,
    committed_at timestamptz not null default clock_timestamp(),
    constraint nothing_is_lost check (received = loaded + duplicate + quarantined + suppressed)
);
create index on raw.loads (source, checksum);
create index on raw.loads (source, newest_at);

-- The cursor of a source of files: a watched file that has not changed since is not read again.
create table raw.files (
    source text not null,
    locator text not null,
    size bigint not null,
    modified_ns bigint not null,
    load_id bigint not null references raw.loads,
    primary key (source, locator)
);

create table raw.events (
    source text not null,
    event_id text not null,
    event_type text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    user_id text,
    session_id text,
    properties jsonb not null,
    load_id bigint not null
) partition by range (occurred_at);
create index on raw.events (occurred_at);

-- (source, event_id) is an event's identity whichever time it carries, so it cannot be a key of a table that is
-- partitioned by time. Here it is one: the first 16 bytes of SHA-256 over both.
create function raw.identity_of(source text, event_id text) returns uuid
    language sql immutable parallel safe
    return encode(substr(sha256(convert_to(source || chr(31) || event_id, 'UTF8')), 1, 16), 'hex')::uuid;

create table raw.identities (
    identity uuid primary key,
    occurred_at timestamptz not null
);

create table raw.quarantine (
    quarantine_id bigint generated always as identity primary key,
    load_id bigint not null references raw.loads,
    source text not null,
    locator text not null,
    position bigint not null,            -- the record's number in its file, from 1
    reason text not null,
    detail text not null,
    payload bytea not null,
    replayed_at timestamptz
);
create index on raw.quarantine (load_id);

create table raw.touched_hours (
    load_id bigint not null references raw.loads,
    hour timestamptz not null,
    primary key (load_id, hour)
);

-- Marks and gates ------------------------------------------------------------------------------------------------

create table ops.sources (
    source text primary key,
    allowed_lateness interval not null
);

create table ops.tidemarks (
    table_name text primary key,
    load_id bigint not null,
    built_at timestamptz not null default clock_timestamp()
);

-- What each relation that dbt made was made from: another checksum makes it anew.
create table ops.definitions (
    relation text primary key,
    definition text not null,
    built_at timestamptz not null default clock_timestamp()
);

-- Every hour before this one is over, and every live source has passed it by the lateness it is allowed. It follows
-- from the loads up to the mark alone. A source that fell seven days behind the newest no longer holds hours open.
create function ops.final_before(mark bigint) returns timestamptz language sql stable as $$
    with newest as (
        select source, max(newest_at) as newest_at from raw.loads where load_id <= mark group by source
    )
    select min(newest_at - coalesce(allowed_lateness, interval '1 hour'))
    from newest
    left join ops.sources using (source)
    where newest_at > (select max(newest_at) from newest) - interval '7 days'
$$;

-- A build sets `tidemark.after` (its table's mark) and `tidemark.up_to` (the run's high mark) for its transaction, and
-- finds here what it has to compute again. `tidemark.reach_hours` is how many hours on an event still has an effect.
-- Outside of a build there is nothing to do.
create function ops.build_setting(name text) returns bigint language sql stable as
    $$ select coalesce(nullif(current_setting('tidemark.' || name, true), ''), '0')::bigint $$;

create view ops.touched as
select distinct touched_hours.hour + reach.hours * interval '1 hour' as hour
from raw.touched_hours
cross join generate_series(0, ops.build_setting('reach_hours')) as reach (hours)
where touched_hours.load_id > ops.build_setting('after')
  and touched_hours.load_id <= ops.build_setting('up_to');

-- The touched hours, and those whose finality changed between the two marks.
create view ops.touched_or_settled as
select hour from ops.touched
union
select ops.hour_of(moment, ops.timezone())
from (
    select
        ops.final_before(ops.build_setting('after')) as before,
        ops.final_before(ops.build_setting('up_to')) as now
) as horizon
cross join generate_series(
    least(before, now) - interval '1 hour', greatest(before, now), interval '1 hour'
) as moment
where before <> now;

create view ops.touched_days as
select day, day::timestamp at time zone ops.timezone() as starts_at,
    (day + 1)::timestamp at time zone ops.timezone() as ends_at
from (select distinct ops.day_of(hour, ops.timezone()) as day from ops.touched_or_settled) as days;

-- A refresh fixes one high mark for all its steps.
create table ops.refreshes (
    run_id text primary key,
    high_mark bigint not null,
    fixed_at timestamptz not null default clock_timestamp()
);

create table ops.gate_results (
    gate_result_id bigint generated always as identity primary key,
    table_name text not null,
    run_id text not null,
    load_id bigint not null,             -- the high mark that was judged
    status text not null check (status in ('passed', 'warned', 'failed')),
    hours_checked bigint not null,       -- of event time; 0 for what is not scoped by hours
    rows_checked bigint not null,
    results jsonb not null,              -- one object per expectation, with the observed value
    evaluated_at timestamptz not null default clock_timestamp()
);
create index on ops.gate_results (table_name, gate_result_id desc);

-- The tables whose newest gate result is a failure: what stands downstream is held back until they pass.
create view ops.held_tables as
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
    newest.load_id,                      -- the high mark at which it failed
    coalesce(tidemarks.load_id, 0) as passed_load_id, -- the load up to which it last passed
    (
        select newest.table_name || ': ' || string_agg(result ->> 'says', '; ' order by position)
        from jsonb_array_elements(newest.results) with ordinality as results (result, position)
        where result ->> 'severity' = 'error' and not (result ->> 'success')::boolean
    ) as sentence,
    newest.run_id,
    newest.evaluated_at
from (
    select distinct on (table_name) * from ops.gate_results order by table_name, gate_result_id desc
) as newest
left join ops.tidemarks on tidemarks.table_name = 'gate:' || newest.table_name
where newest.status = 'failed';

-- Learning -------------------------------------------------------------------------------------------------------

create table ml.models (
    model_id text primary key,           -- name and version
    name text not null,
    version integer not null,
    stage text not null check (stage in ('candidate', 'serving', 'retired', 'rejected')),
    metrics jsonb not null,              -- out of sample, the baseline's beside it
    load_id bigint not null,             -- the mark of the data it learned from
    data_hash text not null,
    parameters jsonb not null,
    libraries jsonb not null,
    artefact text,                       -- a path under TIDEMARK_HOME/models
    sha256 text,
    hmac text,
    created_at timestamptz not null default clock_timestamp(),
    unique (name, version)
);
create unique index one_model_in_service on ml.models (name) where stage = 'serving';

create table ml.forecasts (
    series_id text not null,
    ds timestamptz not null,             -- the beginning of the day or hour that is forecast
    yhat double precision not null,
    lo_80 double precision not null,
    hi_80 double precision not null,
    lo_95 double precision not null,
    hi_95 double precision not null,
    model_id text not null references ml.models,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (series_id, model_id, load_id, ds)
);

create table ml.anomalies (
    series_id text not null,             -- metric and segment: 'revenue' or 'revenue|currency=EUR'
    ds timestamptz not null,
    value double precision not null,
    score double precision not null check (score between 0 and 1),
    is_anomaly boolean not null,
    expected double precision not null,
    lo double precision not null,
    hi double precision not null,
    model_id text not null references ml.models,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (series_id, ds)
);

create table ml.churn_scores (
    user_id text not null,
    as_of timestamptz not null,          -- the cut-off: nothing after it was used
    probability double precision not null check (probability between 0 and 1),
    reasons jsonb not null,              -- [{"feature": …, "value": …, "contribution": …}], strongest first
    model_id text not null references ml.models,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (user_id, as_of, model_id)
);

-- Messages -------------------------------------------------------------------------------------------------------

create table ops.incidents (
    incident_id bigint generated always as identity primary key,
    rule text not null,
    fingerprint text not null,           -- rule, metric and segment: one open incident per cause
    metric text not null,
    segment text not null,
    severity text not null,
    status text not null check (status in ('open', 'resolved')),
    opened_hour timestamptz not null,    -- the hour of event time that breached
    resolved_hour timestamptz,
    value double precision,              -- in that hour; a gate has none
    expected double precision,
    lo double precision,
    hi double precision,
    detail text not null,                -- one sentence
    opened_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
create unique index one_open_incident on ops.incidents (fingerprint) where status <> 'resolved';

-- How far a rule has walked along a series, and the hours that speak against what it holds now.
create table ops.alert_marks (
    fingerprint text primary key,
    hour timestamptz not null,           -- the newest hour that was evaluated
    state jsonb not null
);

create table ops.outbox (
    message_id text primary key,         -- stable: the same cause to the same recipient has the same id
    topic text not null,                 -- 'report executive', 'incident 17 opened'
    recipient text not null,
    subject text not null,
    mime bytea not null,                 -- the whole message, ready to send
    manifest jsonb not null default '{}',
    status text not null default 'pending' check (status in ('pending', 'sent', 'dead')),
    attempts integer not null default 0,
    last_error text,
    fate text,                           -- where it went: a server's answer, or the path of the .eml file
    created_at timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz
);
create index on ops.outbox (next_attempt_at) where status = 'pending';
create index on ops.outbox (topic);

create table ops.audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null default session_user,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}'
);
