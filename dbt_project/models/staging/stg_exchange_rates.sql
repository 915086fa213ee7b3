select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    currency,
    base_currency,
    rate
from {{ ref('stg_exchange_rates_checked') }}
where held_reason is null
