select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    lesson_id,
    skill,
    difficulty,
    origin,
    score,
    duration_seconds
from {{ ref('stg_lessons_checked') }}
where held_reason is null
