-- Eight weeks of days, or twice the period, for every metric that is drawn. Up to the newest complete day, a day in which
-- nothing happened has no row: what adds up was zero then, and what is a ratio had no value.
with shown as (
    select
        greatest(
            min(day), least(%(last_day)s::date - 55, %(first_day)s::date - (%(last_day)s::date - %(first_day)s::date) - 1)
        ) as first_day,
        least(max(day), %(last_day)s::date + 7) as last_day,
        max(day) filter (where is_final) as complete_day
    from api.metric_daily
    where segment = 'all'
),

days as (
    select generate_series(first_day, last_day, interval '1 day')::date as day, complete_day
    from shown
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
where metrics.metric = any(%(metrics)s)
  and (daily.day is not null or days.day <= days.complete_day)
order by array_position(%(metrics)s, metrics.metric), days.day
