-- Gross revenue less refunds is revenue, and that less discounts is net revenue, of every day and currency, to the cent.
select gross.day, gross.segment, gross.value as gross_revenue, refunds.value as refunds, net.value as net_revenue
from {{ ref('metric_daily') }} as gross
left join {{ ref('metric_daily') }} as refunds
    on refunds.metric = 'refunds' and gross.day = refunds.day and gross.segment = refunds.segment
left join {{ ref('metric_daily') }} as revenue
    on revenue.metric = 'revenue' and gross.day = revenue.day and gross.segment = revenue.segment
left join {{ ref('metric_daily') }} as discounts
    on discounts.metric = 'discounts' and gross.day = discounts.day and gross.segment = discounts.segment
left join {{ ref('metric_daily') }} as net
    on net.metric = 'net_revenue' and gross.day = net.day and gross.segment = net.segment
where gross.metric = 'gross_revenue'
  and (gross.value - refunds.value is distinct from revenue.value
       or revenue.value - discounts.value is distinct from net.value)
