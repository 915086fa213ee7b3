{{ config(grain='hour', key=['hour', 'user_id']) }}

with shopping as (
    select shopping.*
    from {{ in_touched_hours(
        of_types(ref('stg_product_events'), ['product_viewed', 'product_added', 'checkout_started']), 'shopping'
    ) }}
    where shopping.user_id is not null
)

select
    hour,
    user_id,
    count(*) filter (where event_type = 'product_viewed') as product_views,
    count(*) filter (where event_type = 'product_added') as product_adds,
    count(*) filter (where event_type = 'checkout_started') as checkouts
from shopping
group by 1, 2
