-- Final days of whole metrics, days since 1970 and value; a day in which nothing happened counts as 0 where days add up.
with newest as (
    select max(day) as day from api.metric_daily where is_final and segment = 'all'
),

series as (
    select values.metric, metrics.adds_up in ('sum', 'distinct') as is_zero_when_absent, min(values.day) as first_day
    from api.metric_daily as values
    join api.metrics as metrics on values.metric = metrics.metric
    where values.segment = 'all' and values.metric = any(%(metrics)s)
    group by values.metric, metrics.adds_up
),

days as (
    select series.metric, series.is_zero_when_absent, steps.day::date as day
    from series
    cross join newest
    cross join generate_series(series.first_day::timestamp, newest.day::timestamp, interval '1 day') as steps (day)
)

select days.metric, days.day - date '1970-01-01' as day, coalesce(values.value, 0)::double precision as value
from days
left join api.metric_daily as values
    on days.metric = values.metric and days.day = values.day and values.segment = 'all'
where values.is_final or (values.metric is null and days.is_zero_when_absent)
order by days.metric, days.day
