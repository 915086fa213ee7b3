with events as (
    select * from {{ ref('stg_events') }}
    where event_type in ('product_viewed', 'product_added', 'checkout_started', 'price_changed',
                         'competitor_price_observed', 'stock_changed')
),

typed as (
    select
        source,
        event_id,
        event_type,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
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
)

select
    *,
    {{ held([
        ['product without an id', "product_id is null and event_type <> 'checkout_started'", 'null'],
        ['price is no number', is_no_number('price'), "properties -> 'price'"],
        ['price below zero', 'price < 0', 'price'],
        ['quantity is no number', is_no_number('quantity'), "properties -> 'quantity'"],
        ['quantity below zero', "quantity < 0 and event_type = 'product_added'", 'quantity'],
        unknown_currency(),
    ]) }}
from typed
