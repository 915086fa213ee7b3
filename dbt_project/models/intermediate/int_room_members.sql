-- Who was in a room, how they voted, and whether those who voted after them on the same item voted like them.
{{ config(
    grain='entity', entity='room_id', of=['int_room_events'], key=['room_id', 'user_id'], tells=['user_id'],
    tide_indexes=[['user_id']]
) }}

with events as (
    select events.*
    from {{ ref('int_room_events') }} as events
    join {{ touched_entities('room_id', ['int_room_events']) }} as touched using (room_id)
),

members as (
    select
        room_id,
        user_id,
        case when bool_or(event_type = 'room_created') then 'host' else 'guest' end as role,
        min(occurred_at) as joined_at,
        count(*) filter (where event_type = 'vote_cast') as votes,
        count(*) filter (where event_type = 'vote_cast' and is_in_favour) as votes_in_favour
    from events
    where user_id is not null and event_type in ('room_created', 'room_joined', 'vote_cast')
    group by 1, 2
),

-- A member's newest vote on an item is the one that counts.
standing as (
    select distinct on (room_id, content_id, user_id) *
    from events
    where event_type = 'vote_cast' and is_in_favour is not null and content_id is not null and user_id is not null
    order by room_id, content_id, user_id, occurred_at desc, source desc, event_id desc
),

followed as (
    select
        room_id,
        user_id,
        is_in_favour,
        count(*) over later as later_votes,
        count(*) filter (where is_in_favour) over later as later_in_favour
    from standing
    window later as (
        partition by room_id, content_id order by occurred_at, source, event_id
        rows between 1 following and unbounded following
    )
),

followings as (
    select
        room_id,
        user_id,
        sum(later_votes)::bigint as later_votes,
        sum(case when is_in_favour then later_in_favour else later_votes - later_in_favour end)::bigint as later_agreeing
    from followed
    group by 1, 2
),

matches as (
    select distinct on (room_id) room_id, content_id, occurred_at as matched_at
    from events
    where event_type = 'room_matched'
    order by room_id, occurred_at, source, event_id
)

select
    members.room_id,
    members.user_id,
    members.role,
    members.joined_at,
    members.votes,
    members.votes_in_favour,
    coalesce(followings.later_votes, 0) as later_votes,
    coalesce(followings.later_agreeing, 0) as later_agreeing,
    matches.content_id,
    matches.matched_at
from members
left join followings using (room_id, user_id)
left join matches using (room_id)
