{{ config(grain='day', key=['day', 'user_id', 'class_id', 'skill'], tide_indexes=[['user_id', 'day']]) }}

select
    touched.day,
    lessons.user_id,
    coalesce(lessons.class_id, '') as class_id,
    lessons.skill,
    count(*) as activities,
    count(lessons.score) as scored,
    coalesce(sum(lessons.score), 0) as score_sum,
    coalesce(sum(lessons.duration_seconds), 0) as learning_seconds
from {{ ref('lessons') }} as lessons
join {{ source('ops', 'touched_days') }} as touched
    on lessons.hour >= touched.starts_at
    and lessons.hour < touched.ends_at
where lessons.user_id is not null
group by 1, 2, 3, 4
