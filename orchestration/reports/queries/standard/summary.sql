-- The metrics of the report over its period, against the period before: its own first, in their order.
select
    summary.metric,
    metrics.system,
    metrics.unit,
    metrics.adds_up,
    metrics.good_direction,
    summary.value,
    summary.previous_value,
    summary.change_rate,
    summary.year_change_rate,
    summary.is_final
from api.period_summary as summary
join api.metrics as metrics on summary.metric = metrics.metric
where summary.segment = 'all'
  and summary.grain = %(grain)s
  and summary.start_date = %(first_day)s
  and (%(is_of_all_metrics)s or summary.metric = any(%(metrics)s))
order by array_position(%(metrics)s, summary.metric), metrics.system, summary.metric
