-- Of the orders of the 13 newest complete weeks, which products go together more often than by chance: lift is the share
-- of orders with both, over the product of the shares with each. At least ten orders must hold both; only the 500
-- products that are ordered most are looked at, so that a wide range stays affordable.
{{ config(key=['product_id', 'companion_id']) }}

with weeks as (
    select max(week) as newest from {{ ref('baskets') }}
),

orders as (
    select row_number() over () as number, baskets.products
    from {{ ref('baskets') }} as baskets
    join weeks on baskets.week > weeks.newest - 91
),

items as (
    select orders.number, product_id
    from orders
    cross join unnest(orders.products) as product_id
),

products as (
    select product_id, count(*) as orders
    from items
    group by 1
    having count(*) >= 10
    order by count(*) desc, product_id
    limit 500
),

frequent as (
    select items.number, products.product_id, products.orders
    from items
    join products on items.product_id = products.product_id
),

pairs as (
    select
        one.product_id,
        other.product_id as companion_id,
        max(one.orders) as product_orders,
        max(other.orders) as companion_orders,
        count(*) as orders_with_both
    from frequent as one
    join frequent as other on one.number = other.number and one.product_id <> other.product_id
    group by 1, 2
    having count(*) >= 10
),

counted as (
    select pairs.*, (select count(*) from orders) as orders
    from pairs
)

select
    product_id,
    companion_id,
    orders_with_both,
    product_orders,
    companion_orders,
    orders,
    orders_with_both / orders::numeric as support_rate,
    orders_with_both / product_orders::numeric as confidence_rate,
    orders_with_both * orders / (product_orders::numeric * companion_orders) as lift,
    (select newest + 6 from weeks) as as_of_day
from counted
where orders_with_both * orders > product_orders::numeric * companion_orders
