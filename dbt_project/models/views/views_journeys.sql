-- The hundred most common ways through a session, in the 28 newest complete days.
{{ config(key=['place']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

-- First by person: counting people without sorting the sessions.
people as (
    select sessions.path, sessions.user_id, count(*) as sessions
    from {{ ref('sessions') }} as sessions
    cross join as_of
    where sessions.hour >= (as_of.day - 27)::timestamp at time zone (select timezone from ops.tenant)
      and sessions.hour < (as_of.day + 1)::timestamp at time zone (select timezone from ops.tenant)
    group by 1, 2
),

paths as (
    select path, sum(sessions)::bigint as sessions, count(user_id) as users
    from people
    group by path
),

placed as (
    select
        *,
        row_number() over (order by sessions desc, path) as place,
        sessions::numeric / sum(sessions) over () as session_rate
    from paths
)

select place, path, sessions, users, session_rate, as_of.day as as_of_day
from placed
cross join as_of
where place <= 100
