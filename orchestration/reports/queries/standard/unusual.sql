-- The unusual hours of the period, the strongest first.
-- needs api.anomalies
select
    anomalies.metric,
    metrics.unit,
    anomalies.ds as hour,
    anomalies.value as measured,
    anomalies.lo,
    anomalies.hi,
    count(*) over () as hours
from api.anomalies as anomalies
join api.metrics as metrics on anomalies.metric = metrics.metric
where anomalies.is_anomaly
  and anomalies.segment = 'all'
  and (%(is_of_all_metrics)s or anomalies.metric = any(%(metrics)s))
  and ops.day_of(anomalies.ds, ops.timezone()) between %(first_day)s and %(last_day)s
order by anomalies.score desc, anomalies.ds, anomalies.metric
