-- How many of those each seller has in the 28 days up to the end of the period.
select seller_id, fault, count(*) as faults
from api.transaction_faults
where (%(seller)s::text is null or seller_id = %(seller)s)
  and ops.day_of(at, ops.timezone()) between %(last_day)s::date - 27 and %(last_day)s
group by seller_id, fault
order by faults desc, seller_id, fault
