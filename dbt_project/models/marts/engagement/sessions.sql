-- A session is what a person did without a silence of more than 30 minutes, however many hours it takes. A touched hour
-- decides about the sessions that reach to within 30 minutes of it, and about no others: so one that begins as another one
-- did is among them, too.
{{ config(
    grain='hour', key=['user_id', 'started_at'], ripples=true,
    columns='hour timestamptz, user_id text, started_at timestamptz, ended_at timestamptz, length_seconds numeric,
        actions bigint, path text',
    affected="ctid in (
        select sessions.ctid
        from marts.sessions
        join ops.touched on tstzrange(sessions.started_at, sessions.ended_at, '[]') && tstzrange(
            touched.hour - interval '30 minutes', touched.hour + interval '90 minutes', '[]'
        )
    )",
    tide_indexes=[['hour'], "using gist (tstzrange(started_at, ended_at, '[]'))"]
) }}

with touched as (
    select hour from {{ source('ops', 'touched') }}
),

-- Nothing is beside what is touched where everything is computed anew.
reached as (
    select distinct sessions.user_id, sessions.started_at, sessions.ended_at
    from {{ this }} as sessions
    join touched on tstzrange(sessions.started_at, sessions.ended_at, '[]') && tstzrange(
        touched.hour - interval '30 minutes', touched.hour + interval '90 minutes', '[]'
    )
    where current_setting('tidemark.after', true) is distinct from '0' or exists (select from ops.expired_days)
),

-- What lies in a touched hour, and the rest of the sessions that it may join or split.
spans as (
    select spans.*
    from {{ ref('int_activity_spans') }} as spans
    join touched on spans.hour = touched.hour
    union all
    select spans.*
    from {{ ref('int_activity_spans') }} as spans
    join reached
        on spans.user_id = reached.user_id
        and spans.first_at >= reached.started_at
        and spans.first_at <= reached.ended_at
    where spans.hour not in (select hour from touched)
),

spaced as (
    select
        *,
        first_at - lag(last_at) over (partition by user_id order by first_at) as silence
    from spans
),

numbered as (
    select
        *,
        count(*) filter (where silence > interval '30 minutes') over (partition by user_id order by first_at) as session
    from spaced
)

select
    min(hour) as hour,
    user_id,
    min(first_at) as started_at,
    max(last_at) as ended_at,
    extract(epoch from max(last_at) - min(first_at)) as length_seconds,
    sum(events)::bigint as actions,
    case
        when count(*) = 1 then min(path)
        else array_to_string((ops.collapsed(
            string_to_array(string_agg(path, ' > ' order by first_at), ' > ')
        ))[1:8], ' > ')
    end as path
from numbered
group by user_id, session
