{{ config(grain='hour', key=['hour', 'currency', 'order_id', 'product_id'], tells=['product_id'],
          tide_indexes=[['product_id', 'hour']]) }}

with lines as (
    select order_lines.*
    from {{ in_touched_hours(ref('stg_order_lines'), 'order_lines') }}
)

select
    hour,
    coalesce(currency, 'unknown') as currency,
    coalesce(order_id, source || ':' || event_id) as order_id,
    coalesce(product_id, 'unknown') as product_id,
    max(user_id) as user_id,
    coalesce(max(category), 'unknown') as category,
    coalesce(max(country), 'unknown') as country,
    count(*) as lines,
    coalesce(sum(quantity) filter (where not is_refund), 0) as sold_units,
    coalesce(-sum(quantity) filter (where is_refund), 0) as returned_units,
    coalesce(sum(amount) filter (where not is_refund), 0) as gross_revenue,
    coalesce(-sum(amount) filter (where is_refund), 0) as refunds
from lines
group by 1, 2, 3, 4
