select * from {{ ref('views_unusual_behaviour') }}
