-- Rooms as they stand now, which is the end of the newest complete hour. One without an end that is silent for a day is
-- abandoned. Match quality: the mean of its members, of whom one who later completed the matched content counts 1, one
-- who only used it a half.
select
    rooms.room_id,
    rooms.host,
    rooms.category,
    case when is_silent then 'abandoned' else rooms.state end as state,
    case when is_silent then 'silent' else rooms.reason end as reason,
    rooms.created_at,
    rooms.started_at,
    rooms.matched_at,
    rooms.completed_at,
    rooms.abandoned_at,
    rooms.last_at,
    rooms.is_contradictory,
    rooms.waiting_seconds,
    rooms.seconds_to_match,
    rooms.pauses,
    rooms.paused_seconds,
    rooms.active_seconds,
    rooms.total_seconds,
    rooms.members,
    rooms.voters,
    rooms.participation_rate,
    rooms.votes,
    rooms.votes_in_favour,
    rooms.votes_per_member,
    rooms.votes_to_match,
    rooms.items,
    rooms.consensus_rate,
    rooms.consensus_strength,
    rooms.content_id,
    rooms.match_agreement_rate,
    quality.match_quality,
    as_of.moment as as_of
from {{ ref('views_rooms') }} as rooms
left join {{ as_of() }} as as_of on true
cross join lateral (
    select coalesce(
        rooms.state in ('created', 'started', 'paused') and rooms.last_at < as_of.moment - interval '1 day', false
    ) as is_silent
) as silence
left join lateral (
    select avg(case members.later_use when 'completed' then 1 when 'used' then 0.5 when 'not used' then 0 end) as match_quality
    from {{ ref('views_room_members') }} as members
    where members.room_id = rooms.room_id
) as quality on true
