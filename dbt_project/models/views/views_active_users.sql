-- How many people came on each complete day and in each complete week, and whether they had come before.
{{ config(key=['grain', 'start_date']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

counted as (
    select
        states.grain,
        states.start_date,
        coalesce(sum(states.total) filter (where states.state <> 'dormant'), 0)::bigint as active_users,
        coalesce(sum(states.total) filter (where states.state = 'new'), 0)::bigint as new_users,
        coalesce(sum(states.total) filter (where states.state = 'returning'), 0)::bigint as returning_users,
        coalesce(sum(states.total) filter (where states.state = 'resurrected'), 0)::bigint as resurrected_users,
        coalesce(sum(states.total) filter (where states.state = 'dormant'), 0)::bigint as dormant_users
    from {{ tally('user_state_counts') }} as states
    cross join as_of
    where states.grain = 'day' and states.start_date <= as_of.day
       or states.grain = 'week' and states.start_date + 6 <= as_of.day
    group by states.grain, states.start_date
),

-- A person is among those of the 30 days that end on a day from each day of theirs until 30 days later, or the next one.
changes as (
    select start_date as day, active_users as change from counted where grain = 'day'
    union all
    select states.leaves_on, -sum(states.total)
    from {{ tally('user_state_counts') }} as states
    cross join as_of
    where states.grain = 'day' and states.state <> 'dormant' and states.start_date <= as_of.day
    group by 1
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
