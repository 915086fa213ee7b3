-- Learners who struggle come first. Who withdrew their consent to reports is in none of their lists.
select
    user_id, activities, average_score, last_scores, momentum, current_streak, last_active_date, is_struggling,
    count(*) over () as all_learners,
    count(*) filter (where is_struggling) over () as struggling
from api.learners
where user_id not in (select user_id from api.without_consent where purpose = 'reports')
order by is_struggling desc, average_score, user_id
