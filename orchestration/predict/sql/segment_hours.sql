-- Every segment of the asked metrics in the asked hours, beside the mean of the same hour of past weeks. What adds up
-- only; money by currency is in another unit than the whole.
with asked as (
    select asked.metric, to_timestamp(asked.second) as hour
    from unnest(%(metrics)s::text[], %(hours)s::bigint[]) as asked (metric, second)
    join api.metrics as metrics on asked.metric = metrics.metric and metrics.adds_up in ('sum', 'distinct')
),

firsts as (
    select metric, min(hour) as hour from api.metric_hourly where segment = 'all' group by metric
),

steps as (
    select asked.metric, asked.hour, weeks.back, asked.hour - interval '7 days' * weeks.back as at
    from asked
    join firsts on asked.metric = firsts.metric
    cross join generate_series(0, %(weeks)s::integer) as weeks (back)
    where weeks.back = 0 or asked.hour - interval '7 days' * weeks.back >= firsts.hour
),

known as (
    select metric, hour, nullif(count(*) - 1, 0) as weeks from steps group by metric, hour
)

select
    steps.metric,
    extract(epoch from steps.hour)::bigint as hour,
    values.segment,
    coalesce(sum(values.value) filter (where steps.back = 0), 0)::double precision as value,
    (coalesce(sum(values.value) filter (where steps.back > 0), 0) / min(known.weeks))::double precision as expected
from steps
join known on steps.metric = known.metric and steps.hour = known.hour
join api.metric_hourly as values on steps.metric = values.metric and steps.at = values.hour
where known.weeks is not null and values.value >= 0
    and not (starts_with(values.segment, 'currency=') and steps.metric in
        (select metric from api.metrics where unit = 'money'))
group by steps.metric, steps.hour, values.segment
order by 1, 2, 3
