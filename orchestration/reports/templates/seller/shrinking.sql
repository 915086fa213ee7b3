-- The seller who lost the largest share of what they sold before.
select seller_id, growth_rate, volume_28d, previous_volume_28d
from api.sellers
where growth_rate <= -0.2 and (%(seller)s::text is null or seller_id = %(seller)s)
order by growth_rate, seller_id
limit 1
