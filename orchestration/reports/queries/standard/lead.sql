-- The first metric of the report over its period, and the range of the same periods before it.
with past as (
    select
        count(*) as periods,
        min(value) as lowest,
        max(value) as highest
    from (
        select value
        from api.period_summary
        where metric = %(lead)s and segment = 'all' and grain = %(grain)s and start_date < %(first_day)s
          and start_date >= (select min(day) from api.metric_daily)
        order by start_date desc
        limit 12
    ) as twelve
)

select
    summary.metric,
    metrics.unit,
    metrics.good_direction,
    summary.value,
    summary.previous_value,
    summary.change_rate,
    past.periods,
    past.lowest,
    past.highest
from api.period_summary as summary
join api.metrics as metrics on summary.metric = metrics.metric
cross join past
where summary.metric = %(lead)s
  and summary.segment = 'all'
  and summary.grain = %(grain)s
  and summary.start_date = %(first_day)s
