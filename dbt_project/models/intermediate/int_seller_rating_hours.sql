{{ config(grain='hour', key=['hour', 'seller_id']) }}

with ratings as (
    select ratings.*
    from {{ in_touched_hours(ref('stg_seller_ratings'), 'ratings') }}
)

select
    hour,
    coalesce(seller_id, 'unknown') as seller_id,
    count(rating) as ratings,
    coalesce(sum(rating), 0) as rating_sum
from ratings
group by 1, 2
