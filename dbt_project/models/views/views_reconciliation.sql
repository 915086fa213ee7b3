-- Every amount that came in, and what became of it, to the cent: created = settled + failed + pending + unaccounted.
{{ config(key=['day', 'currency']) }}

select
    created_day as day,
    currency,
    count(*) as transactions,
    count(*) filter (where not is_reconciled) as unreconciled_transactions,
    sum(amount) as created_amount,
    sum(settled_amount) as settled_amount,
    sum(failed_amount) as failed_amount,
    sum(pending_amount) as pending_amount,
    sum(unaccounted_amount) as unaccounted_amount,
    sum(fee) as fees,
    count(*) filter (where status = 'settled') as settled,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'pending') as pending,
    avg(settlement_seconds) as average_settlement_seconds,
    percentile_disc(0.5) within group (order by settlement_seconds) as settlement_p50_seconds,
    percentile_disc(0.95) within group (order by settlement_seconds) as settlement_p95_seconds
from {{ ref('transactions') }}
group by 1, 2
