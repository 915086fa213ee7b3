-- The incidents that nobody has ended yet.
-- needs api.incidents
select
    incident_id,
    metric,
    severity,
    opened_hour,
    detail
from api.incidents
where status <> 'resolved'
  and (%(is_of_all_metrics)s or metric = any(%(metrics)s))
order by array_position(array['critical', 'warning', 'info'], severity), opened_hour, incident_id
limit 3
