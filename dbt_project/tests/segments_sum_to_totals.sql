-- Of a metric that adds up, the segments of one dimension sum to the whole; money only within a currency.
with daily as (
    select daily.*, split_part(segment, '=', 1) as dimension
    from {{ ref('metric_daily') }} as daily
    join {{ ref('views_metrics') }} as metrics using (metric)
    where metrics.adds_up = 'sum' and metrics.unit <> 'money'
),

parts as (
    select metric, day, dimension, sum(value) as value
    from daily
    where segment <> 'all'
    group by 1, 2, 3
)

select parts.metric, parts.day, parts.dimension, parts.value, totals.value as total
from parts
left join daily as totals on parts.metric = totals.metric and parts.day = totals.day and totals.segment = 'all'
where parts.value is distinct from totals.value
