with events as (
    select * from {{ ref('stg_events') }}
    where event_type in ('content_viewed', 'content_started', 'content_completed', 'content_rated')
),

typed as (
    select
        source,
        event_id,
        event_type,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('content_id') }} as content_id,
        {{ text_property('category') }} as category,
        {{ number_property('rating') }} as rating,
        {{ number_property('duration_seconds') }} as duration_seconds,
        {{ number_property('score') }} as score
    from events
)

select
    *,
    {{ held([
        ['content without an id', 'content_id is null', 'content_id'],
        ['rating is no number', is_no_number('rating'), "properties -> 'rating'"],
        ['rating outside 1..5', 'rating not between 1 and 5', 'rating'],
        ['duration below zero', 'duration_seconds < 0', 'duration_seconds'],
        ['score is no number', is_no_number('score'), "properties -> 'score'"],
        ['score outside 0..100', 'score not between 0 and 100', 'score'],
    ]) }}
from typed
