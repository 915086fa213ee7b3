-- Skills in the period; of one learner, over all of their lessons.
select name, activities, scored, average_score, learning_seconds
from (
    select name, activities, scored, average_score, learning_seconds
    from api.learning_periods
    where %(learner)s::text is null
      and scope = 'skill' and grain = %(grain)s and start_date = %(first_day)s
    union all
    select skill, activities, scored, average_score, learning_seconds
    from api.learner_measures
    where user_id = %(learner)s and measure = 'score' and skill <> 'all'
) as skills
order by average_score desc nulls last, name
