-- Sales that need a look, up to the end of the period.
select at, seller_id, fault, subject, currency, amount, detail
from api.transaction_faults
where ops.day_of(at, ops.timezone()) <= %(last_day)s
order by at desc, seller_id, fault, subject
