select
    source,
    event_id,
    line_number,
    occurred_at,
    hour,
    user_id,
    load_id,
    order_id,
    product_id,
    category,
    country,
    currency,
    quantity,
    price,
    amount,
    is_refund,
    discount,
    tax,
    shipping
from {{ ref('stg_order_lines_checked') }}
where held_reason is null
