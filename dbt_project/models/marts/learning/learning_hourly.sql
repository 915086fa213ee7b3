{{ config(grain='hour', key=['hour', 'skill']) }}

select
    lessons.hour,
    lessons.skill,
    count(*) as lessons_completed,
    count(lessons.score) as scored_lessons,
    coalesce(sum(lessons.score), 0) as score_sum,
    coalesce(sum(lessons.duration_seconds), 0) as learning_seconds
from {{ ref('lessons') }} as lessons
join {{ source('ops', 'touched') }} as touched on lessons.hour = touched.hour
group by 1, 2
