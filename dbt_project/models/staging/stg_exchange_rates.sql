with events as (
    select * from {{ ref('stg_events') }}
)

select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    {{ text_property('currency') }} as currency,
    {{ text_property('base_currency') }} as base_currency,
    {{ number_property('rate') }} as rate
from events
where event_type = 'exchange_rate_published'
