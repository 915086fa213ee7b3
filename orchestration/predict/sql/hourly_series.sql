-- Final hours of whole metrics, and of latencies and error rates by endpoint: seconds since 1970 and value.
-- An hour in which nothing happened counts as 0 where hours add up.
with newest as (
    select max(hour) as hour from api.metric_hourly where is_final and segment = 'all'
),

series as (
    select
        values.metric,
        values.segment,
        metrics.adds_up in ('sum', 'distinct') as is_zero_when_absent,
        min(values.hour) as first_hour
    from api.metric_hourly as values
    join api.metrics as metrics on values.metric = metrics.metric
    where values.segment = 'all' or (starts_with(values.segment, 'endpoint=') and metrics.unit in ('ms', 'rate'))
    group by values.metric, values.segment, metrics.adds_up
),

hours as (
    select series.metric, series.segment, series.is_zero_when_absent, steps.hour
    from series
    cross join newest
    cross join generate_series(series.first_hour, newest.hour, interval '1 hour') as steps (hour)
)

select
    hours.metric || case when hours.segment = 'all' then '' else '|' || hours.segment end as series_id,
    extract(epoch from hours.hour)::bigint as hour,
    coalesce(values.value, 0)::double precision as value
from hours
left join api.metric_hourly as values
    on hours.metric = values.metric and hours.segment = values.segment and hours.hour = values.hour
where values.is_final or (values.metric is null and hours.is_zero_when_absent)
order by 1, 2
