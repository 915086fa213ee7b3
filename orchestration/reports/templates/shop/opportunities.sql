-- What could be done about products, the most valuable first.
select product_id, currency, opportunity, value as worth, reason
from api.opportunities
order by place
