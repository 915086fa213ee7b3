-- The unusual hours of the eight weeks that the charts show, of whole metrics.
-- needs api.anomalies
select
    anomalies.metric,
    metrics.unit,
    anomalies.ds as hour,
    ops.day_of(anomalies.ds, ops.timezone()) as day,
    anomalies.value,
    anomalies.lo,
    anomalies.hi
from api.anomalies as anomalies
join api.metrics as metrics on anomalies.metric = metrics.metric
where anomalies.is_anomaly
  and anomalies.segment = 'all'
  and ops.day_of(anomalies.ds, ops.timezone()) between %(as_of)s::date - 55 and %(as_of)s::date
order by anomalies.score desc, anomalies.ds, anomalies.metric
