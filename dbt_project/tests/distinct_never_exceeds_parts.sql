-- People counted once a day are never more than the sum of those counted once an hour, nor fewer than in its best hour.
with hours as (
    select metric, segment, ops.day_of(hour, ops.timezone()) as day, sum(value) as total, max(value) as best
    from {{ ref('metric_hourly') }}
    group by 1, 2, 3
)

select daily.metric, daily.segment, daily.day, daily.value, hours.total, hours.best
from {{ ref('metric_daily') }} as daily
join {{ ref('views_metrics') }} as metrics using (metric)
left join hours using (metric, segment, day)
where metrics.adds_up = 'distinct'
  and (daily.value > hours.total or daily.value < hours.best) is not false
