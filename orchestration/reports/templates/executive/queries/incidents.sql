-- The incidents that were open at some time in the seven days, the open ones first.
select
    incident_id,
    metric,
    severity,
    status,
    opened_hour,
    resolved_hour,
    ops.day_of(opened_hour, ops.timezone()) as day,
    detail
from ops.incidents
where ops.day_of(opened_hour, ops.timezone()) <= %(as_of)s::date
  and (
      resolved_hour is null
      or ops.day_of(resolved_hour, ops.timezone()) >= %(first_day)s::date
  )
order by status, array_position(array['critical', 'warning', 'info'], severity), opened_hour
