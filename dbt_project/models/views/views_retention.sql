-- Of the people who first came in a week or month, those who came in each complete one from then on.
{{ config(key=['grain', 'cohort_date', 'start_date']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

active as (
    select states.grain, states.cohort_date, states.start_date, sum(states.total)::bigint as users
    from {{ tally('user_state_counts') }} as states
    cross join as_of
    where states.state <> 'dormant' and states.grain in ('week', 'month')
      and (states.start_date + ('1 ' || states.grain)::interval)::date <= as_of.day + 1
    group by 1, 2, 3
)

select
    grain,
    cohort_date,
    start_date,
    case grain
        when 'week' then (start_date - cohort_date) / 7
        else (12 * (extract(year from start_date) - extract(year from cohort_date))
              + extract(month from start_date) - extract(month from cohort_date))::integer
    end as periods_later,
    users,
    first_value(users) over cohort as cohort_users,
    users::numeric / first_value(users) over cohort as retention_rate
from active
window cohort as (partition by grain, cohort_date order by start_date)
