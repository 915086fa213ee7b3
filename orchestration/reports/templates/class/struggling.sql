-- Learners whose newest scores are all below 60.
select user_id, average_score, last_scores
from api.learners
where is_struggling
  and user_id not in (select user_id from api.without_consent where purpose = 'reports')
order by average_score, user_id
