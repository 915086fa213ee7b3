-- Eight weeks of days for every metric. Up to the newest complete day, a day in which nothing happened has no row:
-- what adds up was zero then, and what is a ratio had no value.
with shown as (
    select
        greatest(min(day), %(as_of)s::date - 55) as first_day,
        max(day) as last_day
    from api.metric_daily
    where segment = 'all'
),

days as (
    select day::date as day
    from shown, generate_series(first_day, last_day, interval '1 day') as day
)

select
    metrics.metric,
    metrics.unit,
    days.day,
    coalesce(daily.value, case when metrics.adds_up in ('sum', 'distinct') then 0 end) as value,
    coalesce(daily.is_final, true) as is_final
from days
cross join api.metrics as metrics
left join api.metric_daily as daily
    on days.day = daily.day
    and metrics.metric = daily.metric
    and daily.segment = 'all'
where daily.day is not null
   or days.day <= %(as_of)s::date
order by metrics.metric, days.day
