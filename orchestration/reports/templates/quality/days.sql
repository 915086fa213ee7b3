-- What came in by the day of each load's newest event.
select ops.day_of(newest_at, ops.timezone()) as day, sum(received) as received, sum(quarantined) as refused
from api.loads
where ops.day_of(newest_at, ops.timezone()) between %(last_day)s::date - 55 and %(last_day)s
group by 1
order by 1
