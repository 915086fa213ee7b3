-- To date: what people who ordered from the shop, had something refunded, or bought on the marketplace came to.
{{ config(grain='entity', entity='user_id', of=['customer_daily'], key=['user_id'], tells=['user_id']) }}

with touched as (
    select user_id from {{ touched_entities('user_id', ['customer_daily']) }} as touched
),

days as (
    select
        daily.*,
        case when daily.orders > 0 then
            daily.day - lag(daily.day) over (partition by daily.user_id, daily.orders > 0 order by daily.day)
        end as days_since_order
    from {{ ref('customer_daily') }} as daily
    join touched on daily.user_id = touched.user_id
)

select
    user_id,
    min(day) filter (where orders > 0) as first_order_day,
    max(day) filter (where orders > 0) as last_order_day,
    count(*) filter (where orders > 0) as order_days,
    sum(orders)::bigint as orders,
    sum(units) as units,
    sum(revenue) as lifetime_revenue,
    sum(refunds) as lifetime_refunds,
    avg(days_since_order) as average_days_between_orders,
    percentile_disc(0.5) within group (order by days_since_order) as median_days_between_orders,
    min(day) filter (where purchases > 0) as first_purchase_day,
    max(day) filter (where purchases > 0) as last_purchase_day,
    sum(purchases)::bigint as purchases,
    sum(purchase_volume) as purchase_volume
from days
group by 1
having sum(orders) > 0 or sum(purchases) > 0 or sum(refunds) <> 0
