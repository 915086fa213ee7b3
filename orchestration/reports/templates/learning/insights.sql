-- What stands out, by how much it matters and how sure it is.
select user_id, kind, skill, evidence, confidence, action
from api.learner_insights
where (%(learner)s::text is null or user_id = %(learner)s)
  and user_id not in (select user_id from api.without_consent where purpose = 'reports')
order by importance desc, user_id, place
