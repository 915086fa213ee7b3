-- The incidents about the metrics that were open at some time in the period, the open ones first.
-- needs api.incidents
select
    incident_id,
    metric,
    severity,
    status,
    opened_hour,
    resolved_hour,
    ops.day_of(opened_hour, ops.timezone()) as day,
    detail,
    count(*) over () as incidents,
    count(*) filter (where status <> 'resolved') over () as open_incidents
from api.incidents
where ops.day_of(opened_hour, ops.timezone()) <= %(last_day)s::date
  and (resolved_hour is null or ops.day_of(resolved_hour, ops.timezone()) >= %(first_day)s::date)
  and (%(is_of_all_metrics)s or metric = any(%(metrics)s))
order by status = 'resolved', array_position(array['critical', 'warning', 'info'], severity), opened_hour, incident_id
