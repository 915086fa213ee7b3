-- Products by what they brought.
select
    product_id, category, currency, gross_revenue_28d, refunds_28d, sold_units_28d, previous_sold_units_28d, return_rate,
    stock, price, price_gap_rate
from api.products
order by gross_revenue_28d desc, product_id
