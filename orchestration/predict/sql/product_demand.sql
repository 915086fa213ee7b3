-- Units sold of each product on each final day since it was first seen, with its category: seconds since 1970 of the day.
with newest as (
    select max(day) as day from api.metric_daily where is_final and segment = 'all'
),

products as (
    select
        daily.product_id,
        coalesce(
            (array_agg(daily.category order by daily.day desc) filter (where daily.category <> 'unknown'))[1], 'unknown'
        ) as category,
        greatest(min(daily.day), newest.day - %(history)s) as first_day,
        newest.day as last_day
    from marts.product_daily as daily
    cross join newest
    where daily.day <= newest.day
    group by daily.product_id, newest.day
)

select
    products.product_id,
    products.category,
    extract(epoch from days.day)::bigint as step,
    coalesce(daily.sold_units, 0)::double precision as value
from products
cross join generate_series(products.first_day::timestamp, products.last_day::timestamp, interval '1 day') as days (day)
left join marts.product_daily as daily on products.product_id = daily.product_id and daily.day = days.day::date
order by 1, 3
