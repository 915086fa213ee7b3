-- Sales that do not add up, or stay just below a reporting limit, up to the end of the period.
select at, seller_id, fault, subject, currency, amount, detail
from api.transaction_faults
where (%(seller)s::text is null or seller_id = %(seller)s)
  and ops.day_of(at, ops.timezone()) <= %(last_day)s
order by at desc, seller_id, fault, subject
