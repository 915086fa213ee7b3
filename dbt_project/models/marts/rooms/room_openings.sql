-- A room as it was six minutes after its creation, which its success is foretold from: no later event is read here.
{{ config(grain='entity', entity='room_id', of=['int_room_events'], key=['room_id']) }}

with events as (
    select events.*
    from {{ ref('int_room_events') }} as events
    join {{ touched_entities('room_id', ['int_room_events']) }} as touched using (room_id)
),

creations as (
    select room_id, min(occurred_at) + interval '6 minutes' as cutoff_at
    from events
    where event_type = 'room_created'
    group by room_id
),

early as (
    select events.*, creations.cutoff_at
    from events
    join creations using (room_id)
    where events.occurred_at <= creations.cutoff_at
),

counted as (
    select
        room_id,
        cutoff_at,
        count(distinct user_id) filter (where event_type in ('room_created', 'room_joined', 'vote_cast')) as members,
        extract(epoch from cutoff_at - max(occurred_at) filter (where event_type = 'room_joined')) as seconds_since_joined,
        extract(epoch from cutoff_at - min(occurred_at) filter (where event_type = 'room_started')) as seconds_since_started,
        count(*) filter (where event_type = 'vote_cast') as votes,
        count(*) filter (where event_type = 'vote_cast' and is_in_favour) as votes_in_favour,
        count(distinct content_id) filter (where event_type = 'vote_cast') as items,
        bool_or(event_type in ('room_matched', 'room_completed', 'room_abandoned')) as is_decided
    from early
    group by room_id, cutoff_at
)

select
    room_id,
    cutoff_at,
    members,
    seconds_since_joined,
    seconds_since_started,
    votes,
    items,
    round(votes::numeric / members, 6) as votes_per_member,
    round(votes_in_favour::numeric / nullif(votes, 0), 6) as in_favour_rate,
    votes - votes_in_favour as votes_against,
    is_decided
from counted
