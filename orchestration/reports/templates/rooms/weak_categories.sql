-- Categories of which a third of the rooms were abandoned in the four weeks up to the end of the period.
select coalesce(category, 'unknown') as category, count(*) as rooms, count(*) filter (where state = 'abandoned') as abandoned
from api.rooms
where ops.day_of(created_at, ops.timezone()) between %(last_day)s::date - 27 and %(last_day)s
group by 1
having count(*) filter (where state = 'abandoned') * 3 >= count(*) and count(*) >= 5
order by count(*) filter (where state = 'abandoned')::numeric / count(*) desc, rooms desc, category
