-- The transactions of all sellers are those of the marketplace, day by day.
with sellers as (
    select day, sum(transactions) as transactions from {{ ref('seller_daily') }} group by 1
),

days as (
    select ops.day_of(hour, ops.timezone()) as day, sum(transactions) as transactions
    from {{ ref('marketplace_hourly') }}
    group by 1
)

select *
from sellers
full join days using (day)
where coalesce(sellers.transactions, 0) <> coalesce(days.transactions, 0)
