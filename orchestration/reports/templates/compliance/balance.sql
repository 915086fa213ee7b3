-- Every amount of the period, and what became of it.
select
    currency,
    sum(transactions) as transactions,
    sum(created_amount) as created_amount,
    sum(settled_amount) as settled_amount,
    sum(failed_amount) as failed_amount,
    sum(pending_amount) as pending_amount,
    sum(unaccounted_amount) as unaccounted_amount,
    sum(unreconciled_transactions) as unreconciled_transactions
from api.reconciliation
where day between %(first_day)s and %(last_day)s
group by currency
order by created_amount desc, currency
