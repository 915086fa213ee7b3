-- What a person looked at, ordered and bought on the marketplace. Money is in the tenant's currency.
{{ config(grain='day', key=['day', 'user_id'], tells=['user_id'], tide_indexes=[['user_id', 'day']]) }}

with days as (
    select * from {{ source('ops', 'touched_days') }}
),

looked as (
    select
        days.day,
        hours.user_id,
        sum(hours.product_views)::bigint as product_views,
        sum(hours.product_adds)::bigint as product_adds,
        sum(hours.checkouts)::bigint as checkouts
    from days
    join {{ ref('int_shopper_hours') }} as hours on hours.hour >= days.starts_at and hours.hour < days.ends_at
    group by 1, 2
),

ordered as (
    select
        days.day,
        orders.user_id,
        count(distinct orders.order_id) filter (where orders.is_order) as orders,
        sum(orders.units) as units,
        coalesce(sum(orders.revenue * conversions.rate), 0) as revenue,
        coalesce(sum(orders.refunds * conversions.rate), 0) as refunds
    from days
    join {{ ref('int_order_hours') }} as orders on orders.hour >= days.starts_at and orders.hour < days.ends_at
    left join {{ ref('int_conversions') }} as conversions
        on orders.hour = conversions.hour
        and orders.currency = conversions.currency
    where orders.user_id is not null
    group by 1, 2
),

bought as (
    select
        days.day,
        hours.buyer_id as user_id,
        sum(hours.created)::bigint as purchases,
        coalesce(sum(hours.created_amount * conversions.rate), 0) as purchase_volume
    from days
    join {{ ref('int_transaction_hours') }} as hours on hours.hour >= days.starts_at and hours.hour < days.ends_at
    left join {{ ref('int_conversions') }} as conversions
        on hours.hour = conversions.hour
        and hours.currency = conversions.currency
    where hours.buyer_id is not null
    group by 1, 2
)

select
    day,
    user_id,
    coalesce(looked.product_views, 0) as product_views,
    coalesce(looked.product_adds, 0) as product_adds,
    coalesce(looked.checkouts, 0) as checkouts,
    coalesce(ordered.orders, 0) as orders,
    coalesce(ordered.units, 0) as units,
    coalesce(ordered.revenue, 0) as revenue,
    coalesce(ordered.refunds, 0) as refunds,
    coalesce(bought.purchases, 0) as purchases,
    coalesce(bought.purchase_volume, 0) as purchase_volume
from looked
full join ordered using (day, user_id)
full join bought using (day, user_id)
