{{ config(grain='hour', key=['hour'], reach_hours=1) }}

with user_hours as (
    select user_hours.hour, count(*) as active_users, sum(user_hours.events) as events
    from {{ ref('int_user_hours') }} as user_hours
    join {{ source('ops', 'touched') }} as touched on user_hours.hour = touched.hour
    group by user_hours.hour
),

session_starts as (
    select session_starts.hour, count(*) as sessions
    from {{ ref('int_session_starts') }} as session_starts
    join {{ source('ops', 'touched') }} as touched on session_starts.hour = touched.hour
    group by session_starts.hour
)

select
    user_hours.hour,
    user_hours.active_users,
    coalesce(session_starts.sessions, 0) as sessions,
    user_hours.events
from user_hours
left join session_starts on user_hours.hour = session_starts.hour
