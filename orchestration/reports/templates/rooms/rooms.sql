-- The rooms that were opened in the period, the newest first.
select room_id, category, state, created_at, members, votes, seconds_to_match, consensus_rate
from api.rooms
where ops.day_of(created_at, ops.timezone()) between %(first_day)s and %(last_day)s
order by created_at desc, room_id
