-- Members of rooms that are open and began in the seven newest complete days, and the room's category.
select rooms.room_id, members.user_id, rooms.category
from marts.rooms as rooms
join marts.room_members as members on rooms.room_id = members.room_id
where rooms.matched_at is null and rooms.completed_at is null and rooms.abandoned_at is null
    and rooms.created_at >= (
        select (max(day) - 6)::timestamp at time zone ops.timezone() from api.metric_daily
        where is_final and segment = 'all'
    )
order by 1, 2
