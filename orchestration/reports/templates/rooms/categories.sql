-- Rooms of the period by category.
select
    coalesce(category, 'unknown') as category,
    count(*) as rooms,
    count(matched_at) as matched,
    count(matched_at)::numeric / count(*) as matched_rate,
    count(*) filter (where state = 'abandoned') as abandoned,
    round(avg(seconds_to_match), 3) as seconds_to_match,
    round(avg(participation_rate), 6) as participation_rate
from api.rooms
where ops.day_of(created_at, ops.timezone()) between %(first_day)s and %(last_day)s
group by 1
order by matched_rate desc, rooms desc, category
