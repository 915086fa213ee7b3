-- Amounts are in the tenant's currency; transactions whose currency has no rate are counted as unconverted.
{{ config(grain='day', key=['day', 'seller_id'], tide_indexes=[['seller_id', 'day']]) }}

with days as (
    select * from {{ source('ops', 'touched_days') }}
),

sold as (
    select
        days.day,
        hours.seller_id,
        sum(hours.created)::bigint as transactions,
        count(distinct hours.buyer_id) as customers,
        coalesce(sum(hours.created_amount * conversions.rate), 0) as volume,
        coalesce(sum(hours.fees * conversions.rate), 0) as fees,
        coalesce(sum(hours.created) filter (where conversions.rate is null), 0)::bigint as unconverted_transactions,
        sum(hours.settled)::bigint as settled,
        sum(hours.failed)::bigint as failed
    from days
    join {{ ref('int_transaction_hours') }} as hours on hours.hour >= days.starts_at and hours.hour < days.ends_at
    left join {{ ref('int_conversions') }} as conversions
        on hours.hour = conversions.hour
        and hours.currency = conversions.currency
    group by 1, 2
),

rated as (
    select days.day, hours.seller_id, sum(hours.ratings)::bigint as ratings, sum(hours.rating_sum) as rating_sum
    from days
    join {{ ref('int_seller_rating_hours') }} as hours on hours.hour >= days.starts_at and hours.hour < days.ends_at
    group by 1, 2
)

select
    day,
    seller_id,
    coalesce(sold.transactions, 0) as transactions,
    coalesce(sold.customers, 0) as customers,
    coalesce(sold.volume, 0) as volume,
    coalesce(sold.fees, 0) as fees,
    coalesce(sold.unconverted_transactions, 0) as unconverted_transactions,
    coalesce(sold.settled, 0) as settled,
    coalesce(sold.failed, 0) as failed,
    coalesce(rated.ratings, 0) as ratings,
    coalesce(rated.rating_sum, 0) as rating_sum
from sold
full join rated using (day, seller_id)
