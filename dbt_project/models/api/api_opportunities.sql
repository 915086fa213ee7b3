-- What could be done about a product, each with what it is worth over 28 days in the currency of its price, as a share
-- of the most valuable one, and why.
with products as (
    select * from {{ ref('views_products') }}
),

categories as (
    select category, sum(adds_28d) / nullif(sum(views_28d), 0) as view_to_cart_rate
    from products
    group by 1
),

overall as (
    select sum(returned_units_28d) / nullif(sum(sold_units_28d), 0) as return_rate from products
),

judged as (
    select
        products.product_id,
        products.category,
        products.currency,
        products.as_of_day,
        opportunities.*
    from products
    left join categories on products.category = categories.category
    cross join overall
    cross join lateral (
        values
        (
            'restock',
            case when products.stock_cover_days < 14
                then (14 - products.stock_cover_days) * products.units_per_day * products.price end,
            format('%s in stock, %s sold a day: it lasts %s days', products.stock, round(products.units_per_day, 1),
                   round(products.stock_cover_days, 1))
        ),
        (
            'raise_price',
            case when products.price < 0.95 * products.lowest_competitor_price
                then (products.lowest_competitor_price - products.price) * products.sold_units_28d end,
            format('%s, where the cheapest of %s competitors asks %s', products.price, products.competitors,
                   products.lowest_competitor_price)
        ),
        (
            'lower_price',
            case when products.price_index > 1.1 and products.view_to_cart_rate < categories.view_to_cart_rate
                then (categories.view_to_cart_rate - products.view_to_cart_rate) * products.views_28d
                    * products.average_competitor_price end,
            format('%s times what competitors ask; %s %% of its views end in a cart, %s %% in its category',
                   round(products.price_index, 2), round(100 * products.view_to_cart_rate, 1),
                   round(100 * categories.view_to_cart_rate, 1))
        ),
        (
            'reduce_returns',
            case when products.returned_units_28d >= 5 and products.return_rate > 2 * overall.return_rate
                then products.refunds_28d end,
            format('%s %% come back, %s %% of all products', round(100 * products.return_rate, 1),
                   round(100 * overall.return_rate, 1))
        )
    ) as opportunities (opportunity, value, reason)
    where opportunities.value > 0
)

select
    *,
    value / max(value) over () as score,
    row_number() over (order by value desc, product_id, opportunity) as place
from judged
