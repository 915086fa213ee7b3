-- Complete weeks only: half a week says nothing about who came back.
{{ config(grain='week', key=['week', 'user_id'], tide_indexes=[['user_id', 'week']]) }}

with weeks as (
    select start_date as week, end_date
    from {{ source('ops', 'touched_periods') }}
    where grain = 'week' and {{ is_final('ends_at') }}
)

select
    weeks.week,
    days.user_id,
    count(*) as active_days,
    sum(days.events)::bigint as events,
    sum(days.lessons_completed)::bigint as lessons_completed
from weeks
join {{ ref('user_daily') }} as days on days.day >= weeks.week and days.day < weeks.end_date
group by 1, 2
