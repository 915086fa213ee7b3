-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='entity', entity='room_id', of=['rooms'], key=['room_id']) }}

select facts.*
from {{ ref('rooms') }} as facts
join {{ touched_entities('room_id', ['rooms']) }} as touched using (room_id)
