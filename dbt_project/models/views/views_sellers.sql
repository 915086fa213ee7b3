-- Each seller over the 28 newest complete days, beside the 28 before (the same weekdays) and the same days a year ago
-- (364 days: again the same weekdays); with the rank among all, and the rating drawn towards that of all sellers as if
-- each had ten more ratings of that.
{{ config(key=['seller_id']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

recent as (
    select
        daily.seller_id,
        {%- for name, first, last in [('', 28, 0), ('previous_', 56, 28), ('year_ago_', 392, 364)] %}
        sum(daily.transactions) filter (where daily.day > as_of.day - {{ first }} and daily.day <= as_of.day - {{ last }})
            as {{ name }}transactions_28d,
        sum(daily.volume) filter (where daily.day > as_of.day - {{ first }} and daily.day <= as_of.day - {{ last }})
            as {{ name }}volume_28d,
        {%- endfor %}
        sum(daily.fees) filter (where daily.day > as_of.day - 28) as fees_28d,
        sum(daily.failed) filter (where daily.day > as_of.day - 28) as failed_28d,
        sum(daily.settled) filter (where daily.day > as_of.day - 28) as settled_28d
    from {{ ref('seller_daily') }} as daily
    join as_of on daily.day > as_of.day - 392 and daily.day <= as_of.day
    group by 1
),

-- lifetime to date
rated as (
    select daily.seller_id, sum(daily.ratings) as ratings, sum(daily.rating_sum) as rating_sum, sum(daily.volume) as volume
    from {{ ref('seller_daily') }} as daily
    join as_of on daily.day <= as_of.day
    group by 1
),

overall as (
    select sum(rating_sum) / nullif(sum(ratings), 0) as rating from rated
),

figures as (
    select
        rated.seller_id,
        sellers.first_sale_at,
        sellers.last_sale_at,
        coalesce(sellers.transactions, 0) as transactions,
        rated.volume,
        coalesce(sellers.customers, 0) as customers,
        coalesce(sellers.repeat_customers, 0) as repeat_customers,
        sellers.largest_customer_rate,
        sellers.customer_concentration,
        sellers.failed / nullif(sellers.settled + sellers.failed, 0)::numeric as failure_rate,
        sellers.average_settlement_seconds,
        rated.ratings,
        rated.rating_sum / nullif(rated.ratings, 0) as average_rating,
        (rated.rating_sum + 10 * overall.rating) / (rated.ratings + 10) as fair_rating,
        coalesce(recent.transactions_28d, 0) as transactions_28d,
        coalesce(recent.volume_28d, 0) as volume_28d,
        coalesce(recent.fees_28d, 0) as fees_28d,
        coalesce(recent.previous_volume_28d, 0) as previous_volume_28d,
        recent.volume_28d / nullif(recent.previous_volume_28d, 0) - 1 as growth_rate,
        recent.volume_28d / nullif(recent.year_ago_volume_28d, 0) - 1 as growth_year_rate,
        coalesce(recent.failed_28d, 0) as failed_28d
    from rated
    cross join overall
    left join {{ ref('sellers') }} as sellers on rated.seller_id = sellers.seller_id
    left join recent on rated.seller_id = recent.seller_id
)

select
    *,
    volume_28d / nullif(sum(volume_28d) over (), 0) as volume_share_rate,
    rank() over (order by volume_28d desc) as volume_rank,
    rank() over (order by fair_rating desc nulls last) as rating_rank,
    count(*) over () as peers,
    (select day from as_of) as as_of_day
from figures
