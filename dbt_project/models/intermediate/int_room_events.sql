{{ config(
    grain='hour', key=['source', 'event_id'], tells=['room_id', 'user_id'],
    tide_indexes=[['hour'], ['room_id'], ['user_id']]
) }}

select
    events.source,
    events.event_id,
    events.hour,
    events.occurred_at,
    events.event_type,
    events.room_id,
    events.user_id,
    events.category,
    events.content_id,
    events.is_in_favour,
    events.reason
from {{ in_touched_hours(ref('stg_room_events'), 'events') }}
where events.room_id is not null
