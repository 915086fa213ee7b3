with events as (
    select * from {{ ref('stg_events') }}
    where event_type = 'exchange_rate_published'
),

typed as (
    select
        source,
        event_id,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('currency') }} as currency,
        {{ text_property('base_currency') }} as base_currency,
        {{ number_property('rate') }} as rate
    from events
)

select
    *,
    {{ held([
        ['no rate above zero', 'rate is null or rate <= 0', "properties -> 'rate'"],
        ['rate without a currency', 'currency is null or base_currency is null', 'null'],
        unknown_currency(),
        unknown_currency('base_currency'),
    ]) }}
from typed
