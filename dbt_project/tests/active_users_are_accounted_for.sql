-- Who came is new, returning or resurrected; who came last week comes again or is dormant; people of a day are those of the
-- metric, and among those of its 30 days.
with users as (
    select *, lag(active_users) over (partition by grain order by start_date) as previous_users,
        lag(start_date) over (partition by grain order by start_date) as previous_date
    from {{ ref('views_active_users') }}
),

metrics as (
    select 'day' as grain, day as start_date, value
    from {{ ref('views_metric_daily') }} where metric = 'active_users' and segment = 'all'
    union all
    select grain, start_date, value
    from {{ ref('views_metric_period') }} where metric = 'active_users' and segment = 'all'
)

select users.*, metrics.value
from users
left join metrics using (grain, start_date)
where users.active_users <> users.new_users + users.returning_users + users.resurrected_users
   or users.active_users <> coalesce(metrics.value, 0)
   or users.grain = 'week' and users.previous_date = users.start_date - 7
      and users.previous_users <> users.returning_users + users.dormant_users
   or users.stickiness_rate > 1
