with events as (
    select * from {{ ref('stg_events') }}
    where event_type = 'lesson_completed'
),

typed as (
    select
        source,
        event_id,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('lesson_id') }} as lesson_id,
        {{ text_property('skill') }} as skill,
        coalesce({{ text_property('difficulty') }}, 'medium') as difficulty,
        coalesce({{ text_property('origin') }}, 'web') as origin,
        {{ number_property('score') }} as score,
        {{ number_property('duration_seconds') }} as duration_seconds,
        {{ text_property('class_id') }} as class_id,
        {{ zone_property() }} as timezone
    from events
)

select
    *,
    {{ held([
        ['score is no number', is_no_number('score'), "properties -> 'score'"],
        ['score outside 0..100', 'score not between 0 and 100', 'score'],
        ['duration below zero', 'duration_seconds < 0', 'duration_seconds'],
        ['a skill is named all', "skill = 'all'", 'skill'],
    ]) }}
from typed
