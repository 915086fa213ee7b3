-- Rooms, their members and the days of content tell of the same votes; no share is beyond 0 to 1, no duration below zero
-- but where events contradict each other.
with members as (
    select room_id, count(*) as members, sum(votes) as votes, sum(votes_in_favour) as votes_in_favour
    from {{ ref('room_members') }}
    group by room_id
),

votes as (
    select
        (select count(*) from {{ ref('int_room_events') }} where event_type = 'vote_cast' and content_id is not null) as cast_votes,
        (select coalesce(sum(votes), 0) from {{ ref('room_content_daily') }}) as counted_votes
)

select room_id
from {{ ref('rooms') }} as rooms
left join members using (room_id)
where rooms.members <> coalesce(members.members, 0)
   or rooms.votes < coalesce(members.votes, 0) -- a vote may be nobody's
   or rooms.votes_in_favour < coalesce(members.votes_in_favour, 0)
   or rooms.voters > rooms.members
   or not coalesce(rooms.consensus_rate between 0 and 1, true)
   or not coalesce(rooms.consensus_strength between 0 and 1, true)
   or rooms.paused_seconds < 0

union all

select 'votes' from votes where cast_votes <> counted_votes
