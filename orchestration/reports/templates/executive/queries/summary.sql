-- Every metric over the seven days of the report, against the seven before: sums, or means of the days' values.
select
    summary.metric,
    summary.system,
    summary.unit,
    summary.good_direction,
    metrics.adds_up,
    summary.value_7d,
    summary.previous_7d,
    summary.change_rate,
    summary.is_final
from api.executive_summary as summary
join api.metrics as metrics on summary.metric = metrics.metric
where summary.segment = 'all'
order by summary.system, summary.metric
