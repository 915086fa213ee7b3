select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    content_id,
    category,
    rating,
    duration_seconds
from {{ ref('stg_content_events_checked') }}
where held_reason is null
