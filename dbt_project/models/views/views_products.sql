-- Each product over the 28 newest complete days: how fast it sells, how long its stock lasts at that, what comes back, and
-- where its price stands among the newest that were observed at each competitor in these days, in the same currency.
{{ config(key=['product_id']) }}

with as_of as (
    select day, (day + 1)::timestamp at time zone ops.timezone() as ends_at
    from (select max(day) as day from {{ ref('views_metric_daily') }} where is_final) as newest
),

known as (
    select
        daily.product_id,
        (array_agg(daily.category order by daily.day desc) filter (where daily.category <> 'unknown'))[1] as category,
        min(daily.day) as first_day,
        max(daily.day) filter (where daily.sold_units > 0) as last_sale_day,
        (array_agg(daily.closing_stock order by daily.day desc) filter (where daily.closing_stock is not null))[1]
            as stock,
        {%- for name in ['price', 'currency'] %}
        (array_agg(daily.{{ name }} order by daily.day desc) filter (where daily.price is not null))[1] as {{ name }},
        {%- endfor %}
        min(daily.oversold_at) as first_oversold_at
    from {{ ref('product_daily') }} as daily
    join as_of on daily.day <= as_of.day
    group by 1
),

recent as (
    select
        daily.product_id,
        {%- for name in ['views', 'adds', 'orders', 'sold_units', 'returned_units', 'gross_revenue', 'refunds'] %}
        sum(daily.{{ name }}) filter (where daily.day > as_of.day - 28) as {{ name }}_28d,
        {%- endfor %}
        sum(daily.sold_units) filter (where daily.day <= as_of.day - 28) as previous_sold_units_28d
    from {{ ref('product_daily') }} as daily
    join as_of on daily.day > as_of.day - 56 and daily.day <= as_of.day
    group by 1
),

observed as (
    select prices.*
    from {{ ref('competitor_prices') }} as prices
    join as_of on prices.hour < as_of.ends_at and prices.hour >= as_of.ends_at - interval '28 days'
),

newest as (
    select distinct on (product_id, competitor, currency) product_id, competitor, currency, price
    from observed
    order by product_id, competitor, currency, hour desc
),

market as (
    select
        known.product_id,
        count(*) as competitors,
        min(newest.price) as lowest_competitor_price,
        avg(newest.price) as average_competitor_price,
        1 + count(*) filter (where newest.price < known.price) as price_rank
    from known
    join newest on known.product_id = newest.product_id and known.currency = newest.currency
    group by 1
),

offers as (
    select
        known.product_id,
        coalesce(sum(observed.observations) filter (where observed.price > known.price), 0)
            / sum(observed.observations) as dearer_rate
    from known
    join observed on known.product_id = observed.product_id and known.currency = observed.currency
    group by 1
),

paced as (
    select
        known.*,
        as_of.day as as_of_day,
        coalesce(recent.sold_units_28d, 0) / least(28, as_of.day - known.first_day + 1)::numeric as units_per_day
    from known
    cross join as_of
    left join recent on known.product_id = recent.product_id
)

select
    paced.product_id,
    paced.category,
    paced.first_day,
    paced.last_sale_day,
    {%- for name in ['views', 'adds', 'orders', 'sold_units', 'returned_units', 'gross_revenue', 'refunds'] %}
    coalesce(recent.{{ name }}_28d, 0) as {{ name }}_28d,
    {%- endfor %}
    coalesce(recent.previous_sold_units_28d, 0) as previous_sold_units_28d,
    paced.units_per_day,
    recent.returned_units_28d / nullif(recent.sold_units_28d, 0) as return_rate,
    recent.adds_28d / nullif(recent.views_28d, 0) as view_to_cart_rate,
    paced.stock,
    greatest(paced.stock, 0) / nullif(paced.units_per_day, 0) as stock_cover_days,
    paced.stock < 0 as is_oversold,
    paced.first_oversold_at,
    paced.price,
    paced.currency,
    coalesce(market.competitors, 0) as competitors,
    market.lowest_competitor_price,
    market.average_competitor_price,
    paced.price / nullif(market.average_competitor_price, 0) as price_index,
    market.price_rank,
    paced.price / nullif(market.lowest_competitor_price, 0) - 1 as price_gap_rate,
    offers.dearer_rate as dearer_offers_rate,
    paced.as_of_day
from paced
left join recent on paced.product_id = recent.product_id
left join market on paced.product_id = market.product_id
left join offers on paced.product_id = offers.product_id
