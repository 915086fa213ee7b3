-- Stock and the shop's own price are the last of the hour; of several at the same moment, a price that was announced holds
-- over one that was seen, and else the greatest identity.
{{ config(grain='hour', key=['hour', 'product_id'], tide_indexes=[['product_id', 'hour']]) }}

with products as (
    select products.*
    from {{ in_touched_hours(ref('stg_product_events'), 'products') }}
    where products.product_id is not null and products.event_type <> 'competitor_price_observed'
)

select
    hour,
    product_id,
    max(category) as category,
    count(*) filter (where event_type = 'product_viewed') as views,
    count(distinct user_id) filter (where event_type = 'product_viewed') as viewers,
    count(*) filter (where event_type = 'product_added') as adds,
    coalesce(sum(quantity) filter (where event_type = 'product_added'), 0) as added_units,
    {%- for name in ['price', 'currency'] %}
    (array_agg({{ name }} order by occurred_at desc, event_type = 'price_changed' desc, source desc, event_id desc)
        filter (where event_type <> 'stock_changed' and price is not null and currency is not null))[1] as {{ name }},
    {%- endfor %}
    (array_agg(quantity order by occurred_at desc, source desc, event_id desc)
        filter (where event_type = 'stock_changed' and quantity is not null))[1] as closing_stock,
    min(quantity) filter (where event_type = 'stock_changed') as lowest_stock,
    min(occurred_at) filter (where event_type = 'stock_changed' and quantity < 0) as oversold_at
from products
group by 1, 2
