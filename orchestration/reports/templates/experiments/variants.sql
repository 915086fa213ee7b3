-- Every variant of every experiment by goal and window.
select
    experiment || ', ' || variant || ': ' || goal as arm,
    experiment, goal, window_seconds, variant, users, expected_users, complete_users, converted_users, conversion_rate,
    value_sum, mixed_users
from api.experiments
order by conversion_rate desc nulls last, experiment, goal, window_seconds, variant
