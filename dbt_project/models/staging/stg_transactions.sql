select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    transaction_id,
    seller_id,
    currency,
    amount,
    fee,
    sequence
from {{ ref('stg_transactions_checked') }}
where held_reason is null
