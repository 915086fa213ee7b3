-- The loads of the period, the newest first.
select load_id, source, cause, received, loaded, duplicate, quarantined, suppressed, committed_at
from api.loads
where ops.day_of(newest_at, ops.timezone()) between %(first_day)s and %(last_day)s
order by load_id desc
