-- The learner, or all, in the period and in the one before.
select
    now.learners,
    now.activities,
    now.average_score,
    now.learning_seconds,
    coalesce(before.activities, 0) as previous_activities,
    before.average_score as previous_score
from api.learning_periods as now
left join api.learning_periods as before
    on before.scope = now.scope and before.name = now.name and before.grain = now.grain
    and before.end_date = now.start_date
where now.grain = %(grain)s and now.start_date = %(first_day)s
  and now.scope = case when %(learner)s::text is null then 'all' else 'learner' end
  and now.name = coalesce(%(learner)s::text, 'all')
  and now.name not in (select user_id from api.without_consent where purpose = 'reports')
