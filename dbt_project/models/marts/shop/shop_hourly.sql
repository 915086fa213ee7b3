{{ config(grain='hour', key=['hour', 'currency']) }}

with orders as (
    select orders.*
    from {{ ref('int_order_hours') }} as orders
    join {{ source('ops', 'touched') }} as touched on orders.hour = touched.hour
)

select
    hour,
    currency,
    count(*) filter (where is_order) as orders,
    sum(lines) as lines,
    sum(units) as units,
    sum(revenue) as revenue
from orders
group by 1, 2
