{{ config(grain='hour', key=['source', 'event_id'], tells=['user_id'], tide_indexes=[['hour'], ['user_id', 'occurred_at']]) }}

select
    lessons.source,
    lessons.event_id,
    lessons.hour,
    lessons.occurred_at,
    lessons.user_id,
    lessons.class_id,
    lessons.lesson_id,
    coalesce(lessons.skill, 'unknown') as skill,
    lessons.difficulty,
    lessons.origin,
    lessons.score,
    lessons.duration_seconds,
    lessons.timezone
from {{ in_touched_hours(ref('stg_lessons'), 'lessons') }}
