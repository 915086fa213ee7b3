-- How many people came on each complete day and in each complete week, and whether they had come before.
{{ config(key=['grain', 'start_date']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

states as (
    select states.*
    from {{ ref('user_states') }} as states
    cross join as_of
    where states.grain = 'day' and states.start_date <= as_of.day
       or states.grain = 'week' and states.start_date + 6 <= as_of.day
),

counted as (
    select
        grain,
        start_date,
        count(*) filter (where state <> 'dormant') as active_users,
        count(*) filter (where state = 'new') as new_users,
        count(*) filter (where state = 'returning') as returning_users,
        count(*) filter (where state = 'resurrected') as resurrected_users,
        count(*) filter (where state = 'dormant') as dormant_users
    from states
    group by grain, start_date
),

-- A person is among those of the 30 days that end on a day from each day of theirs until 30 days later, or the next one.
changes as (
    select start_date as day, 1 as change from states where grain = 'day' and state <> 'dormant'
    union all
    select least(start_date + 30, next_date), -1 from states where grain = 'day' and state <> 'dormant'
),

monthly as (
    select day, sum(sum(change)) over (order by day)::bigint as users
    from changes
    group by day
)

select
    counted.*,
    monthly.users as users_30d,
    counted.active_users::numeric / nullif(monthly.users, 0) as stickiness_rate,
    as_of.day as as_of_day
from counted
cross join as_of
left join monthly on counted.grain = 'day' and counted.start_date = monthly.day
