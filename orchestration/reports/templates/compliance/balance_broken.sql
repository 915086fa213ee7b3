-- Days on which something is unaccounted for.
select day, currency, unaccounted_amount, unreconciled_transactions
from api.reconciliation
where unaccounted_amount <> 0 and day <= %(last_day)s
order by abs(unaccounted_amount) desc, day, currency
