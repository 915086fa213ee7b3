-- What the report's figures are made from, down to the sources: a gate that fails there holds the report.
-- needs api.lineage
select distinct relation
from api.lineage
where figure = any(%(reads)s)
   or kind = 'metric' and (figure = any(%(metrics)s) or %(is_of_all_metrics)s)
union
select relation
from unnest(array['raw.events', 'marts.metric_hourly', 'marts.metric_daily', 'marts.metric_period']) as relation
