-- Of a metric that adds up, the hours of a day sum to the day, on days of 23, 24 and 25 hours. Any row here is a defect.
with hours as (
    select metric, segment, ops.day_of(hour, ops.timezone()) as day, sum(value) as value
    from {{ ref('metric_hourly') }}
    group by 1, 2, 3
),

days as (
    select metric, segment, day, value from {{ ref('metric_daily') }}
)

select *
from hours
full join days using (metric, segment, day)
join {{ ref('views_metrics') }} as metrics using (metric)
where metrics.adds_up = 'sum' and hours.value is distinct from days.value
