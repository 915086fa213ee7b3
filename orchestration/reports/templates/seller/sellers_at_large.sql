-- Sellers over all of their time.
select
    seller_id, transactions, volume, customers, repeat_customers, largest_customer_rate, average_settlement_seconds
from api.sellers
where %(seller)s::text is null or seller_id = %(seller)s
order by volume desc, seller_id
