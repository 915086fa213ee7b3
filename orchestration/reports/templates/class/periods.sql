-- The periods up to this one, a year at most.
select start_date, sum(activities) as activities
from api.learning_periods
where scope = 'class' and grain = %(grain)s and (%(class)s::text is null or name = %(class)s)
  and start_date between %(first_day)s::date - 365 and %(first_day)s
group by start_date
order by start_date
