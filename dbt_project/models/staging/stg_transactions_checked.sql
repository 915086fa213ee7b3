with events as (
    select * from {{ ref('stg_events') }}
    where event_type in ('transaction_created', 'transaction_settled', 'transaction_failed')
),

typed as (
    select
        source,
        event_id,
        event_type,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('transaction_id') }} as transaction_id,
        {{ text_property('seller_id') }} as seller_id,
        {{ text_property('currency') }} as currency,
        {{ number_property('amount') }} as amount,
        {{ number_property('fee') }} as fee,
        {{ number_property('sequence') }} as sequence
    from events
)

select
    *,
    {{ held([
        ['transaction without an id', 'transaction_id is null', 'null'],
        ['no amount', "amount is null and (event_type = 'transaction_created' or " ~ is_no_number('amount') ~ ')', "properties -> 'amount'"],
        ['amount below zero', 'amount < 0', 'amount'],
        ['fee is no number', is_no_number('fee'), "properties -> 'fee'"],
        ['fee below zero', 'fee < 0', 'fee'],
        unknown_currency(),
    ]) }}
from typed
