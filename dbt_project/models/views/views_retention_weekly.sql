-- Of the people who first came in a week, those who came in each complete week from then on.
{{ config(key=['cohort_week', 'week']) }}

with cohorts as (
    select user_id, min(week) as cohort_week
    from {{ ref('user_weekly') }}
    group by user_id
),

active as (
    select cohorts.cohort_week, users.week, count(*) as users
    from {{ ref('user_weekly') }} as users
    join cohorts on users.user_id = cohorts.user_id
    group by 1, 2
)

select
    cohort_week,
    week,
    (week - cohort_week) / 7 as weeks_later,
    users,
    first_value(users) over (partition by cohort_week order by week) as cohort_users,
    users::numeric / first_value(users) over (partition by cohort_week order by week) as retention_rate
from active
