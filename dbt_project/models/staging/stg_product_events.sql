with events as (
    select * from {{ ref('stg_events') }}
)

select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    {{ text_property('product_id') }} as product_id,
    {{ text_property('category') }} as category,
    {{ text_property('cart_id') }} as cart_id,
    {{ text_property('competitor') }} as competitor,
    {{ text_property('currency') }} as currency,
    {{ text_property('reason') }} as reason,
    {{ number_property('price') }} as price,
    {{ number_property('previous_price') }} as previous_price,
    {{ number_property('quantity') }} as quantity
from events
where event_type in ('product_viewed', 'product_added', 'checkout_started', 'price_changed',
                     'competitor_price_observed', 'stock_changed')
