{{ config(grain='hour', key=['hour', 'skill']) }}

with lessons as (
    select lessons.*
    from {{ in_touched_hours(ref('stg_lessons'), 'lessons') }}
)

select
    hour,
    coalesce(skill, 'unknown') as skill,
    count(*) as lessons_completed,
    count(score) as scored_lessons,
    coalesce(sum(score), 0) as score_sum,
    coalesce(sum(duration_seconds), 0) as learning_seconds
from lessons
group by 1, 2
