-- Everybody who ordered, with recency, frequency and money each in fifths of all customers (5 is best), and the segment
-- that follows from them.
with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

customers as (
    select customers.*, as_of.day as as_of_day, as_of.day - customers.last_order_day as days_since_last_order
    from {{ ref('views_customers') }} as customers
    cross join as_of
),

scored as (
    select
        user_id,
        ceil(5.0 * count(*) over (order by last_order_day) / count(*) over ())::integer as recency,
        ceil(5.0 * count(*) over (order by orders) / count(*) over ())::integer as frequency,
        ceil(5.0 * count(*) over (order by lifetime_revenue) / count(*) over ())::integer as money
    from customers
    where orders > 0
)

select
    customers.*,
    scored.recency,
    scored.frequency,
    scored.money,
    case
        when recency >= 4 and frequency >= 4 and money >= 4 then 'champions'
        when recency >= 3 and frequency >= 3 then 'loyal'
        when recency >= 4 and orders = 1 then 'new'
        when recency >= 3 then 'promising'
        when frequency >= 4 or money >= 4 then 'at_risk'
        when recency = 2 then 'fading'
        when orders > 0 then 'lost'
    end as segment
from customers
left join scored using (user_id)
