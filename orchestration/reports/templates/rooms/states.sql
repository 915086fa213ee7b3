-- The rooms that were opened in the period, by how they stand.
select state, count(*) as rooms, sum(count(*)) over () as all_rooms
from api.rooms
where ops.day_of(created_at, ops.timezone()) between %(first_day)s and %(last_day)s
group by state
order by rooms desc, state
