-- How many hours of the period were judged, and how many were unusual.
-- needs api.anomalies
select count(*) as judged, count(*) filter (where is_anomaly) as anomalies
from api.anomalies
where ops.day_of(ds, ops.timezone()) between %(first_day)s and %(last_day)s
having count(*) > 0
