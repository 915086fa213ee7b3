-- Those by seller.
select seller_id, count(*) as faults
from api.transaction_faults
where ops.day_of(at, ops.timezone()) <= %(last_day)s
group by seller_id
order by faults desc, seller_id
