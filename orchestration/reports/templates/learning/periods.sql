-- The periods up to this one, a year at most.
select start_date, activities, average_score, learning_seconds
from api.learning_periods
where grain = %(grain)s
  and start_date between %(first_day)s::date - 365 and %(first_day)s
  and scope = case when %(learner)s::text is null then 'all' else 'learner' end
  and name = coalesce(%(learner)s::text, 'all')
order by start_date
