with events as (
    select * from {{ ref('stg_events') }}
)

select
    source,
    event_id,
    event_type,
    occurred_at,
    hour,
    user_id,
    load_id,
    {{ text_property('transaction_id') }} as transaction_id,
    {{ text_property('seller_id') }} as seller_id,
    {{ text_property('currency') }} as currency,
    {{ number_property('amount') }} as amount,
    {{ number_property('fee') }} as fee,
    {{ number_property('sequence') }} as sequence
from events
where event_type in ('transaction_created', 'transaction_settled', 'transaction_failed')
