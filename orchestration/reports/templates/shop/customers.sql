-- Customers by segment.
select
    segment,
    count(*) as customers,
    sum(count(*)) over () as all_customers
from api.customers
where segment is not null
group by segment
order by customers desc, segment
