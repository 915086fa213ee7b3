-- Units and views of each product on each complete day of the past year on which one price stood.
with newest as (
    select max(day) as day from api.metric_daily where is_final and segment = 'all'
),

days as (
    select
        daily.product_id,
        daily.day,
        daily.category,
        daily.sold_units as units,
        daily.views,
        coalesce(daily.price, daily.gross_revenue / nullif(daily.sold_units, 0)) as price,
        sum(daily.sold_units) over (partition by daily.day) as shop_units,
        bool_or(daily.views > 0) over (partition by daily.product_id) as is_seen
    from marts.product_daily as daily
    cross join newest
    where daily.day <= newest.day and daily.day > newest.day - 365
),

changes as (
    select product_id, ops.day_of(since, ops.timezone()) as day from api.price_history where since is not null
)

select
    product_id,
    category,
    day,
    units::double precision,
    price::double precision,
    case when is_seen then views else shop_units - units end::double precision as exposure
from days
where price > 0 and (product_id, day) not in (select product_id, day from changes)
order by product_id, day
