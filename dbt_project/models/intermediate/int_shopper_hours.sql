{{ config(grain='hour', key=['hour', 'user_id']) }}

with shopping as (
    select shopping.*
    from {{ in_touched_hours(ref('stg_product_events'), 'shopping') }}
    where shopping.user_id is not null
      and shopping.event_type in ('product_viewed', 'product_added', 'checkout_started')
)

select
    hour,
    user_id,
    count(*) filter (where event_type = 'product_viewed') as product_views,
    count(*) filter (where event_type = 'product_added') as product_adds,
    count(*) filter (where event_type = 'checkout_started') as checkouts
from shopping
group by 1, 2
