select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    room_id,
    category,
    content_id,
    is_in_favour,
    duration_seconds,
    reason
from {{ ref('stg_room_events_checked') }}
where held_reason is null
