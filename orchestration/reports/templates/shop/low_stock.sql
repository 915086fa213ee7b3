-- Products that are gone, or will be in two weeks.
select product_id, stock, units_per_day, stock_cover_days
from api.products
where stock_cover_days < 14
order by stock_cover_days, units_per_day desc, product_id
