-- Rooms of the newest weeks that were undecided at their cut-off. Only has_matched looks past it; it is null where the
-- horizon is not over.
with present as (
    select max(hour) + interval '1 hour' as moment
    from api.metric_hourly
    where is_final and segment = 'all'
)

select
    openings.*,
    floor(extract(epoch from present.moment - openings.cutoff_at) / 604800)::integer as weeks_ago,
    (present.moment - interval '7 days' * (floor(extract(epoch from present.moment - openings.cutoff_at) / 604800) + 1))
        ::date as cutoff,
    case when openings.cutoff_at + interval '1 hour' * %(hours)s <= present.moment then
        coalesce(rooms.matched_at <= openings.cutoff_at + interval '1 hour' * %(hours)s, false)
    end as has_matched
from marts.room_openings as openings
cross join present
left join api.rooms as rooms using (room_id)
where not openings.is_decided
    and openings.cutoff_at <= present.moment
    and openings.cutoff_at > present.moment - interval '7 days' * %(weeks)s
order by openings.room_id collate "C"
