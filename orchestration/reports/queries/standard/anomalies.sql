-- The unusual hours of the days that the charts show, of whole metrics.
-- needs api.anomalies
select
    anomalies.metric,
    metrics.unit,
    anomalies.ds as hour,
    ops.day_of(anomalies.ds, ops.timezone()) as day,
    anomalies.value,
    anomalies.lo,
    anomalies.hi,
    anomalies.score
from api.anomalies as anomalies
join api.metrics as metrics on anomalies.metric = metrics.metric
where anomalies.is_anomaly
  and anomalies.segment = 'all'
  and anomalies.metric = any(%(metrics)s)
  and ops.day_of(anomalies.ds, ops.timezone()) between %(last_day)s::date - 55 and %(last_day)s::date
order by anomalies.score desc, anomalies.ds, anomalies.metric
