-- What a learner could do next, by the points to gain.
select user_id, recommendation, expected_effect, reason
from api.learner_recommendations
where (%(learner)s::text is null or user_id = %(learner)s)
  and user_id not in (select user_id from api.without_consent where purpose = 'reports')
order by expected_effect desc, user_id, place
