-- Stock is below zero on a day exactly if the day says when it was oversold.
select * from {{ ref('product_daily') }}
where (coalesce(lowest_stock, 0) < 0) <> (oversold_at is not null)
   or closing_stock < lowest_stock
