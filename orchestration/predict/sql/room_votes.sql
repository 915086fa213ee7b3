-- What rooms have put to the vote.
select distinct room_id as subject_id, content_id as item_id
from intermediate.int_room_events
where room_id = any(%(rooms)s) and content_id is not null
order by 1, 2
