{{ config(grain='hour', key=['hour', 'category']) }}

select
    events.hour,
    coalesce(events.category, 'unknown') as category,
    count(*) filter (where events.event_type = 'room_created') as rooms_created,
    count(*) filter (where events.event_type = 'vote_cast') as votes_cast,
    count(*) filter (where events.event_type = 'room_matched') as rooms_matched,
    count(*) filter (where events.event_type = 'room_abandoned') as rooms_abandoned
from {{ ref('int_room_events') }} as events
join {{ source('ops', 'touched') }} as touched on events.hour = touched.hour
group by 1, 2
