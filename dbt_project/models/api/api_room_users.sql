-- How people behave in rooms. Influence: how much more often those who vote after somebody vote like them than people in
-- rooms do at large; twenty votes as at large are added, so that few votes say little.
with members as (
    select * from {{ ref('views_room_members') }}
),

at_large as (
    select sum(later_agreeing) / nullif(sum(later_votes), 0) as followed_rate from members
)

select
    members.user_id,
    count(*) as rooms,
    count(*) filter (where members.role = 'host') as rooms_hosted,
    count(*) filter (where members.role = 'guest') as rooms_joined,
    count(*) filter (where members.joined_at > as_of.moment - interval '28 days') / 4.0 as rooms_a_week,
    case
        when count(*) filter (where members.role = 'host') * 2 > count(*) then 'host'
        when sum(members.votes) = 0 then 'watcher'
        else 'guest'
    end as main_role,
    min(members.joined_at) as first_at,
    max(members.joined_at) as last_at,
    count(members.matched_at) as rooms_matched,
    sum(members.votes)::bigint as votes,
    sum(members.votes_in_favour) / nullif(sum(members.votes), 0) as in_favour_rate,
    sum(members.later_votes)::bigint as later_votes,
    (sum(members.later_agreeing) + 20 * at_large.followed_rate) / (sum(members.later_votes) + 20)
        - at_large.followed_rate as influence,
    as_of.moment as as_of
from members
cross join at_large
left join {{ as_of() }} as as_of on true
group by members.user_id, at_large.followed_rate, as_of.moment
