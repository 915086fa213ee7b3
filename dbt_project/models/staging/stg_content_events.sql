with events as (
    select * from {{ ref('stg_events') }}
)

select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    {{ text_property('content_id') }} as content_id,
    {{ text_property('category') }} as category,
    {{ number_property('rating') }} as rating,
    {{ number_property('duration_seconds') }} as duration_seconds
from events
where event_type in ('content_viewed', 'content_started', 'content_completed', 'content_rated')
