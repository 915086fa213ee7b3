-- Products that were seen or sold in the 28 days before and are not out of stock, with their category.
select product_id as item_id, coalesce(category, 'unknown') as category
from api.products
where views_28d + sold_units_28d > 0 and coalesce(stock, 1) > 0
order by 1
