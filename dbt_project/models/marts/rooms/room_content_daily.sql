{{ config(grain='day', key=['day', 'content_id']) }}

select
    touched.day,
    events.content_id,
    max(events.category) as category,
    count(distinct events.room_id) as rooms,
    count(*) filter (where events.event_type = 'vote_cast') as votes,
    count(*) filter (where events.event_type = 'vote_cast' and events.is_in_favour) as votes_in_favour,
    count(*) filter (where events.event_type = 'room_matched') as matches
from {{ ref('int_room_events') }} as events
join {{ source('ops', 'touched_days') }} as touched
    on events.hour >= touched.starts_at
    and events.hour < touched.ends_at
where events.content_id is not null
group by 1, 2
