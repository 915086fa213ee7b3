-- Conversion from view to cart to order, and how many of a day's customers came for the first time.
{{ config(key=['day']) }}

with newcomers as (
    select first_order_day as day, count(*) as customers
    from {{ ref('customers') }}
    where first_order_day is not null
    group by 1
)

select
    daily.day,
    daily.viewers,
    daily.adders,
    daily.checking_out,
    daily.viewers_who_ordered,
    daily.adders / nullif(daily.viewers, 0)::numeric as view_to_cart_rate,
    daily.viewers_who_ordered / nullif(daily.adders, 0)::numeric as cart_to_order_rate,
    daily.viewers_who_ordered / nullif(daily.viewers, 0)::numeric as view_to_order_rate,
    daily.orders,
    daily.customers,
    coalesce(newcomers.customers, 0) as new_customers,
    daily.customers - coalesce(newcomers.customers, 0) as repeat_customers,
    daily.customers_revenue
from {{ ref('shop_daily') }} as daily
left join newcomers on daily.day = newcomers.day
