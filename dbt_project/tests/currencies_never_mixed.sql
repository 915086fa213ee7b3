-- In each hour and currency, lines and orders come to the same money; and what is converted is that of one currency at one
-- rate: the tenant's own at 1.
with sales as (
    select
        hour, currency, sum(gross_revenue) as gross_revenue, sum(refunds) as refunds, sum(revenue) as revenue,
        min(rate) as least_rate, max(rate) as greatest_rate, sum(converted_revenue) as converted_revenue
    from {{ ref('sales_hourly') }}
    group by 1, 2
)

select hour, currency, sales.*, orders.*
from sales
full join {{ ref('shop_hourly') }} as orders using (hour, currency)
where (sales.gross_revenue, sales.refunds, sales.revenue)
      is distinct from (orders.gross_revenue, orders.refunds, orders.revenue)
   or sales.least_rate is distinct from sales.greatest_rate
   or sales.converted_revenue is distinct from sales.revenue * sales.least_rate
   or currency = (select currency from ops.tenant) and sales.least_rate is distinct from 1
