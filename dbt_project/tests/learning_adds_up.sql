-- Days, learners and measures tell of the same lessons, skills and classes sum to the whole, and streaks fit into the days.
with days as (
    select user_id, sum(activities) as activities, sum(learning_seconds) as learning_seconds
    from {{ ref('learning_daily') }}
    group by user_id
),

skills as (
    select user_id, sum(activities) as activities, sum(learning_seconds) as learning_seconds, sum(scored) as scored
    from {{ ref('learner_measures') }}
    where measure = 'score' and skill <> 'all'
    group by user_id
)

select user_id, 'learner' as what
from {{ ref('learners') }} as learners
full join days using (user_id)
full join skills using (user_id)
where (learners.activities, learners.learning_seconds) is distinct from (days.activities, days.learning_seconds)
   or (learners.activities, learners.learning_seconds, learners.scored)
       is distinct from (skills.activities, skills.learning_seconds, skills.scored)
   or learners.last_streak > learners.longest_streak
   or learners.longest_streak > learners.active_days
   or learners.active_days <> learners.absences + 1
   or learners.active_days > learners.activities

union all

select start_date::text, scope || ' ' || grain
from (
    select
        grain, start_date, scope,
        sum(activities) as activities,
        max(sum(activities) filter (where scope = 'all')) over (partition by grain, start_date) as total,
        min(engagement_level) as least_level, max(engagement_level) as greatest_level
    from {{ ref('api_learning_periods') }}
    group by grain, start_date, scope
) as parts
where (scope in ('learner', 'skill') and activities <> total) or activities > total
   or least_level < 0 or greatest_level > 1
