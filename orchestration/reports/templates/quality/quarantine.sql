-- Why records of the period's loads were refused.
select
    quarantine.source,
    quarantine.reason,
    sum(quarantine.records) as records,
    sum(quarantine.replayed) as replayed,
    sum(quarantine.dropped) as dropped
from api.quarantine as quarantine
join api.loads as loads on quarantine.load_id = loads.load_id
where ops.day_of(coalesce(loads.newest_at, loads.committed_at), ops.timezone()) between %(first_day)s and %(last_day)s
group by quarantine.source, quarantine.reason
order by records desc, quarantine.source, quarantine.reason
