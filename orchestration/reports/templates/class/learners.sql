-- Learners who struggle come first.
select
    user_id, activities, average_score, last_scores, momentum, current_streak, last_active_date, is_struggling,
    count(*) over () as all_learners,
    count(*) filter (where is_struggling) over () as struggling
from api.learners
order by is_struggling desc, average_score, user_id
