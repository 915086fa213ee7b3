-- The metric that worsened most and the one that improved most, where that is news: a twentieth at least, and of counts
-- thirty at least, where one more or less is no large share.
with changes as (
    select
        summary.metric,
        metrics.unit,
        metrics.good_direction,
        summary.value,
        summary.previous_value,
        summary.change_rate,
        (summary.change_rate > 0) = (metrics.good_direction = 'up') as is_better
    from api.period_summary as summary
    join api.metrics as metrics on summary.metric = metrics.metric
    where summary.segment = 'all'
      and summary.grain = %(grain)s
      and summary.start_date = %(first_day)s
      and summary.metric <> %(lead)s
      and (%(is_of_all_metrics)s or summary.metric = any(%(metrics)s))
      and abs(summary.change_rate) >= 0.05
      and (metrics.unit <> 'count' or greatest(summary.value, summary.previous_value) >= 30)
)

select distinct on (is_better) *
from changes
order by is_better, abs(change_rate) desc, metric
