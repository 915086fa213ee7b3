-- Those by kind, with the seller who has most of them.
select
    fault,
    currency,
    count(*) as faults,
    sum(amount) as amount,
    mode() within group (order by seller_id) as seller_id
from api.transaction_faults
where ops.day_of(at, ops.timezone()) <= %(last_day)s
group by fault, currency
order by faults desc, fault, currency
