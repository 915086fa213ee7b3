-- Every row that a staging model holds, with the reason. A model with rules of its own is one name more.
{%- for name in [
    'stg_content_events',
    'stg_exchange_rates',
    'stg_lessons',
    'stg_order_lines',
    'stg_product_events',
    'stg_requests',
    'stg_room_events',
    'stg_seller_ratings',
    'stg_transactions',
] %}
{{ 'union all' if not loop.first }}
{{ held_rows(name) }}
{%- endfor %}
