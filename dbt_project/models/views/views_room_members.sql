-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='user_id', of=['room_members'], key=['user_id', 'room_id'], tide_indexes=[['room_id']]) }}

select facts.*
from {{ ref('room_members') }} as facts
join {{ touched_entities('user_id', ['room_members']) }} as touched using (user_id)
