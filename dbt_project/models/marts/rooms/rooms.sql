-- A room from its creation to its end, as its events tell it; whether it is silent now is told by api.rooms.
{{ config(grain='entity', entity='room_id', of=['int_room_events'], key=['room_id'], tells=['room_id']) }}

with events as (
    select events.*
    from {{ ref('int_room_events') }} as events
    join {{ touched_entities('room_id', ['int_room_events']) }} as touched using (room_id)
),

moments as (
    select
        room_id,
        (array_agg(user_id order by occurred_at, source, event_id) filter (where event_type = 'room_created'))[1] as host,
        (array_agg(category order by occurred_at, source, event_id) filter (where category is not null))[1] as category,
        min(occurred_at) filter (where event_type = 'room_created') as created_at,
        min(occurred_at) filter (where event_type = 'room_started') as started_at,
        min(occurred_at) filter (where event_type = 'room_matched') as matched_at,
        min(occurred_at) filter (where event_type = 'room_completed') as completed_at,
        min(occurred_at) filter (where event_type = 'room_abandoned') as abandoned_at,
        (array_agg(reason order by occurred_at, source, event_id) filter (where event_type = 'room_abandoned'))[1] as reason,
        (array_agg(content_id order by occurred_at, source, event_id) filter (where event_type = 'room_matched'))[1]
            as content_id,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        count(distinct user_id) filter (where event_type in ('room_created', 'room_joined', 'vote_cast')) as members,
        count(distinct user_id) filter (where event_type = 'vote_cast') as voters,
        count(*) filter (where event_type = 'vote_cast') as votes,
        count(*) filter (where event_type = 'vote_cast' and is_in_favour) as votes_in_favour
    from events
    group by room_id
),

-- A pause lasts until the room goes on, or ends.
turns as (
    select
        room_id,
        event_type,
        occurred_at,
        lead(occurred_at) over (partition by room_id order by occurred_at, source, event_id) as until
    from events
    where event_type in ('room_paused', 'room_resumed', 'room_completed', 'room_abandoned')
),

pauses as (
    select
        room_id,
        count(*) as pauses,
        coalesce(sum(extract(epoch from until - occurred_at)), 0) as paused_seconds,
        bool_or(until is null) as is_paused
    from turns
    where event_type = 'room_paused'
    group by room_id
),

votes_to_match as (
    select room_id, count(*) as votes_to_match
    from events
    join moments using (room_id)
    where event_type = 'vote_cast' and occurred_at <= matched_at
    group by room_id
),

standing as (
    select distinct on (room_id, content_id, user_id) room_id, content_id, is_in_favour
    from events
    where event_type = 'vote_cast' and is_in_favour is not null and content_id is not null and user_id is not null
    order by room_id, content_id, user_id, occurred_at desc, source desc, event_id desc
),

items as (
    select
        room_id,
        standing.content_id,
        count(*) as voters,
        avg(standing.is_in_favour::integer) as in_favour_rate,
        bool_or(standing.content_id = moments.content_id) as is_matched
    from standing
    join moments using (room_id)
    group by 1, 2
),

agreement as (
    select
        room_id,
        count(*) as items,
        avg((in_favour_rate in (0, 1))::integer) filter (where voters > 1) as consensus_rate,
        avg(abs(2 * in_favour_rate - 1)) filter (where voters > 1) as consensus_strength,
        max(in_favour_rate) filter (where is_matched) as match_agreement_rate
    from items
    group by room_id
),

-- A room that ends before it starts has no durations.
ordered as (
    select
        moments.*,
        coalesce(completed_at, abandoned_at) as ended_at,
        coalesce(
            greatest(created_at, started_at, matched_at) > coalesce(completed_at, abandoned_at)
            or greatest(created_at, started_at) > matched_at
            or created_at > started_at,
            false
        ) as is_contradictory
    from moments
)

select
    room_id,
    ops.day_of(moments.last_at, ops.timezone()) as day,
    moments.host,
    moments.category,
    case
        when moments.completed_at is not null then 'completed'
        when moments.abandoned_at is not null then 'abandoned'
        when pauses.is_paused then 'paused'
        when moments.started_at is not null then 'started'
        else 'created'
    end as state,
    moments.reason,
    moments.created_at,
    moments.started_at,
    moments.matched_at,
    moments.completed_at,
    moments.abandoned_at,
    moments.last_at,
    moments.is_contradictory,
    case when not is_contradictory then extract(epoch from moments.started_at - moments.created_at) end as waiting_seconds,
    case when not is_contradictory
        then extract(epoch from moments.matched_at - coalesce(moments.started_at, moments.created_at))
    end as seconds_to_match,
    coalesce(pauses.pauses, 0) as pauses,
    coalesce(pauses.paused_seconds, 0) as paused_seconds,
    case when not is_contradictory and ended_at >= started_at
        then greatest(extract(epoch from moments.ended_at - moments.started_at) - coalesce(pauses.paused_seconds, 0), 0)
    end as active_seconds,
    case when not is_contradictory
        then extract(epoch from moments.ended_at - coalesce(moments.created_at, moments.first_at))
    end as total_seconds,
    moments.members,
    moments.voters,
    round(moments.voters::numeric / nullif(moments.members, 0), 6) as participation_rate,
    moments.votes,
    moments.votes_in_favour,
    round(moments.votes::numeric / nullif(moments.members, 0), 6) as votes_per_member,
    case when moments.matched_at is not null then coalesce(votes_to_match.votes_to_match, 0) end as votes_to_match,
    coalesce(agreement.items, 0) as items,
    round(agreement.consensus_rate, 6) as consensus_rate,
    round(agreement.consensus_strength, 6) as consensus_strength,
    moments.content_id,
    round(agreement.match_agreement_rate, 6) as match_agreement_rate
from ordered as moments
left join pauses using (room_id)
left join votes_to_match using (room_id)
left join agreement using (room_id)
