select *
from {{ ref('stg_seller_ratings_checked') }}
where held_reason is null
