with events as (
    select * from {{ ref('stg_events') }}
    where system = 'rooms'
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
        {{ text_property('room_id') }} as room_id,
        {{ text_property('category') }} as category,
        {{ text_property('content_id') }} as content_id,
        case properties ->> 'is_in_favour' when 'true' then true when 'false' then false end as is_in_favour,
        {{ number_property('duration_seconds') }} as duration_seconds,
        {{ number_property('seconds_to_match') }} as seconds_to_match,
        {{ text_property('reason') }} as reason
    from events
)

select
    *,
    {{ held([
        ['no room is named', 'room_id is null', 'event_type'],
        ['duration is no number', is_no_number('duration_seconds'), "properties -> 'duration_seconds'"],
        ['ends before it starts', 'duration_seconds < 0', 'duration_seconds'],
        ['matches before it starts', 'seconds_to_match < 0', 'seconds_to_match'],
    ]) }}
from typed
