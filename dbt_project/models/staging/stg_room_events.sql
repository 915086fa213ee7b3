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
    {{ text_property('room_id') }} as room_id,
    {{ text_property('category') }} as category,
    {{ text_property('content_id') }} as content_id,
    case properties ->> 'is_in_favour' when 'true' then true when 'false' then false end as is_in_favour,
    {{ number_property('duration_seconds') }} as duration_seconds,
    {{ text_property('reason') }} as reason
from events
where system = 'rooms'
