-- Events of the period, and rooms that ended in it, that are held back from the figures.
select relation, reason, sum(records) as records
from api.held_values
where ops.day_of(hour, ops.timezone()) between %(first_day)s and %(last_day)s
group by relation, reason
order by records desc, relation, reason
