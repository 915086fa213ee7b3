-- From looking to ordering, by people and day: each step counts those of the step before who also took it that day.
{{ config(grain='day', key=['day']) }}

select
    touched.day,
    count(*) filter (where product_views > 0) as viewers,
    count(*) filter (where product_views > 0 and product_adds > 0) as adders,
    count(*) filter (where product_views > 0 and product_adds > 0 and checkouts > 0) as checking_out,
    count(*) filter (where product_views > 0 and product_adds > 0 and checkouts > 0 and orders > 0) as viewers_who_ordered,
    count(*) filter (where orders > 0) as customers,
    sum(orders)::bigint as orders,
    sum(revenue) as customers_revenue
from {{ ref('customer_daily') }} as daily
join {{ source('ops', 'touched_days') }} as touched on daily.day = touched.day
group by 1
