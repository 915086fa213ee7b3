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
    sum(gross_revenue) as gross_revenue,
    sum(refunds) as refunds,
    sum(revenue) as revenue,
    sum(discounts) as discounts,
    sum(revenue) - sum(discounts) as net_revenue,
    sum(taxes) as taxes,
    sum(shipping) as shipping
from orders
group by 1, 2
