{{ config(grain='hour', key=['hour']) }}

with user_hours as (
    select user_hours.hour, count(*) as active_users, sum(user_hours.events) as events
    from {{ ref('int_user_hours') }} as user_hours
    join {{ source('ops', 'touched') }} as touched on user_hours.hour = touched.hour
    group by user_hours.hour
),

sessions as (
    select
        sessions.hour,
        count(*) as sessions,
        sum(sessions.length_seconds) as session_seconds,
        sum(sessions.actions) as session_actions
    from {{ ref('sessions') }} as sessions
    join {{ source('ops', 'touched') }} as touched on sessions.hour = touched.hour
    group by sessions.hour
)

select
    user_hours.hour,
    user_hours.active_users,
    coalesce(sessions.sessions, 0) as sessions,
    user_hours.events,
    coalesce(sessions.session_seconds, 0) as session_seconds,
    coalesce(sessions.session_actions, 0)::bigint as session_actions
from user_hours
left join sessions on user_hours.hour = sessions.hour
