-- The seven newest complete days of every metric against the seven before: the same weekdays, so a fair comparison.
{{ config(key=['metric']) }}

with metrics as (
    select * from {{ ref('views_metrics') }}
),

daily as (
    select * from {{ ref('views_metric_daily') }}
    where segment = 'all'
),

as_of as (
    select max(day) filter (where is_final) as day from daily
),

-- What adds up is summed over the days; anything else (people, ratios, percentiles) is the mean of the days' values.
periods as (
    select
        daily.metric,
        case when metrics.adds_up = 'sum'
            then sum(value) filter (where daily.day > as_of.day - 7)
            else avg(value) filter (where daily.day > as_of.day - 7)
        end as value_7d,
        case when metrics.adds_up = 'sum'
            then sum(value) filter (where daily.day <= as_of.day - 7)
            else avg(value) filter (where daily.day <= as_of.day - 7)
        end as previous_7d,
        max(value) filter (where daily.day = as_of.day) as value_day,
        bool_and(is_final) as is_final
    from daily
    cross join as_of
    join metrics on daily.metric = metrics.metric
    where daily.day > as_of.day - 14 and daily.day <= as_of.day
    group by daily.metric, metrics.adds_up, metrics.metric
)

select
    metrics.metric,
    metrics.system,
    metrics.description,
    metrics.unit,
    metrics.good_direction,
    'all' as segment,
    as_of.day as as_of_day,
    periods.value_7d,
    periods.previous_7d,
    ((periods.value_7d - periods.previous_7d) / nullif(abs(periods.previous_7d), 0))::double precision as change_rate,
    periods.value_day,
    periods.is_final
from periods
cross join as_of
join metrics on periods.metric = metrics.metric
