{{ config(grain='hour', key=['hour', 'currency']) }}

with transactions as (
    select transactions.*
    from {{ in_touched_hours(ref('stg_transactions'), 'transactions') }}
)

select
    hour,
    coalesce(currency, 'unknown') as currency,
    count(*) filter (where event_type = 'transaction_created') as transactions,
    coalesce(sum(amount) filter (where event_type = 'transaction_created'), 0) as volume,
    coalesce(sum(fee) filter (where event_type = 'transaction_created'), 0) as fees,
    count(*) filter (where event_type = 'transaction_settled') as settled,
    count(*) filter (where event_type = 'transaction_failed') as failed
from transactions
group by 1, 2
