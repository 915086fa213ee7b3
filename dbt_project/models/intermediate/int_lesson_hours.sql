{{ config(grain='hour', key=['hour', 'user_id']) }}

with lessons as (
    select lessons.*
    from {{ in_touched_hours(ref('stg_lessons'), 'lessons') }}
)

select
    hour,
    user_id,
    count(*) as lessons_completed,
    count(score) as scored_lessons,
    coalesce(sum(score), 0) as score_sum,
    coalesce(sum(duration_seconds), 0) as learning_seconds
from lessons
where user_id is not null
group by hour, user_id
