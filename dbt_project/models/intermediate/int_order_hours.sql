{{ config(grain='hour', key=['hour', 'currency', 'order_id']) }}

with lines as (
    select order_lines.*
    from {{ in_touched_hours(ref('stg_order_lines'), 'order_lines') }}
)

select
    hour,
    coalesce(currency, 'unknown') as currency,
    coalesce(order_id, source || ':' || event_id) as order_id,
    max(user_id) as user_id,
    bool_or(not is_refund) as is_order,
    count(*) as lines,
    coalesce(sum(quantity), 0) as units,
    coalesce(sum(amount), 0) as revenue
from lines
group by 1, 2, 3
