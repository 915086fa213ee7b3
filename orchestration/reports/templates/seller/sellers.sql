-- Sellers by what they sold in 28 days.
select
    seller_id, volume_28d, previous_volume_28d, growth_rate, transactions_28d, fees_28d, failure_rate, fair_rating,
    volume_share_rate, volume_rank, peers
from api.sellers
where %(seller)s::text is null or seller_id = %(seller)s
order by volume_28d desc, seller_id
