{{ config(grain='minute', key=['minute', 'currency', 'order_id']) }}

with lines as (
    select touched.minute, order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    {{ join_touched_minutes('order_lines') }}
)

select
    minute,
    coalesce(currency, 'unknown') as currency,
    coalesce(order_id, source || ':' || event_id) as order_id,
    bool_or(not is_refund) as is_order,
    coalesce(sum(quantity), 0) as units,
    coalesce(sum(amount), 0) as revenue
from lines
group by 1, 2, 3
