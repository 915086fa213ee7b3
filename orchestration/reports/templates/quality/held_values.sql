-- Events of the period that are held back from the figures.
select relation, reason, sum(events) as events
from api.held_values
where ops.day_of(hour, ops.timezone()) between %(first_day)s and %(last_day)s
group by relation, reason
order by events desc, relation, reason
