select *
from {{ ref('stg_room_events_checked') }}
where held_reason is null
