select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    seller_id,
    transaction_id,
    rating
from {{ ref('stg_seller_ratings_checked') }}
where held_reason is null
