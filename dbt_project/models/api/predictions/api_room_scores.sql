select * from {{ ref('views_room_scores') }}
