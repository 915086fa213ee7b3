{{ config(grain='hour', key=['hour', 'category']) }}

with rooms as (
    select rooms.*
    from {{ in_touched_hours(ref('stg_room_events'), 'rooms') }}
)

select
    hour,
    coalesce(category, 'unknown') as category,
    count(*) filter (where event_type = 'room_created') as rooms_created,
    count(*) filter (where event_type = 'vote_cast') as votes_cast,
    count(*) filter (where event_type = 'room_matched') as rooms_matched,
    count(*) filter (where event_type = 'room_abandoned') as rooms_abandoned
from rooms
group by 1, 2
