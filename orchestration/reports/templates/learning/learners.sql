-- Learners who need somebody most come first.
select
    user_id, average_score, last_scores, momentum, current_streak, last_active_date, is_struggling, is_unusually_absent,
    count(*) over () as all_learners,
    count(*) filter (where is_struggling) over () as struggling
from api.learners
where (%(learner)s::text is null or user_id = %(learner)s)
  and user_id not in (select user_id from api.without_consent where purpose = 'reports')
order by is_struggling desc, is_unusually_absent desc, average_score, user_id
