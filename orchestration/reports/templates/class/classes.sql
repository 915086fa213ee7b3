-- Each class in the period.
select name, learners, activities, average_score, learning_seconds, velocity, engagement_level, strengths, weaknesses
from api.learning_periods
where scope = 'class' and grain = %(grain)s and start_date = %(first_day)s
  and (%(class)s::text is null or name = %(class)s)
order by average_score desc nulls last, name
