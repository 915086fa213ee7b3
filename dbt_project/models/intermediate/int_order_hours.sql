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
    coalesce(sum(amount), 0) as revenue,
    coalesce(sum(amount) filter (where not is_refund), 0) as gross_revenue,
    coalesce(-sum(amount) filter (where is_refund), 0) as refunds,
    coalesce(sum(discount), 0) as discounts,
    coalesce(sum(tax), 0) as taxes,
    coalesce(sum(shipping), 0) as shipping
from lines
group by 1, 2, 3
