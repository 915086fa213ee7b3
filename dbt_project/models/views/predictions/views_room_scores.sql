-- The newest score of each room.
{{ config(key=['room_id']) }}

select distinct on (room_id) *
from {{ source('ml', 'room_scores') }}
order by room_id, made_at desc
