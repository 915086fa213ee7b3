select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    product_id,
    category,
    cart_id,
    competitor,
    currency,
    reason,
    price,
    previous_price,
    quantity
from {{ ref('stg_product_events_checked') }}
where held_reason is null
