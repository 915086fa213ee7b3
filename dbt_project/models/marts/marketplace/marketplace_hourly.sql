{{ config(grain='hour', key=['hour', 'currency']) }}

select
    transactions.hour,
    transactions.currency,
    sum(transactions.created)::bigint as transactions,
    sum(transactions.created_amount) as volume,
    sum(transactions.fees) as fees,
    sum(transactions.settled)::bigint as settled,
    sum(transactions.settled_amount) as settled_volume,
    sum(transactions.failed)::bigint as failed,
    sum(transactions.failed_amount) as failed_volume,
    sum(transactions.settled + transactions.failed)::bigint as decided
from {{ ref('int_transaction_hours') }} as transactions
join {{ source('ops', 'touched') }} as touched on transactions.hour = touched.hour
group by 1, 2
