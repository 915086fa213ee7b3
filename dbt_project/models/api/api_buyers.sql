-- Everybody who bought on the marketplace, with their place among its buyers and their share of what all of them spent.
select
    user_id,
    purchases,
    purchase_volume,
    purchase_volume / nullif(purchases, 0) as average_purchase,
    rank() over (order by purchase_volume desc) as volume_rank,
    purchase_volume / nullif(sum(purchase_volume) over (), 0) as volume_rate,
    purchases > 1 as is_returning,
    first_purchase_day,
    last_purchase_day,
    as_of_day - last_purchase_day as days_since_last_purchase,
    as_of_day
from {{ ref('api_customers') }}
where purchases > 0
