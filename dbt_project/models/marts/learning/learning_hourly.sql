{{ config(grain='hour', key=['hour', 'skill']) }}

with lessons as (
    select lessons.*
    from {{ ref('stg_lessons') }} as lessons
    {{ join_touched('lessons') }}
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
