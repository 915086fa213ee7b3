with events as (
    select * from {{ ref('stg_events') }}
    where event_type = 'request_served'
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
        {{ text_property('endpoint') }} as endpoint,
        {{ text_property('method') }} as method,
        {{ number_property('status') }} as status,
        {{ number_property('latency_ms') }} as latency_ms
    from events
)

select
    *,
    status >= 500 as is_error,
    {{ held([
        ['no status', 'status is null', "properties -> 'status'"],
        ['status outside 100..599', 'status not between 100 and 599', 'status'],
        ['latency is no number', is_no_number('latency_ms'), "properties -> 'latency_ms'"],
        ['latency below zero', 'latency_ms < 0', 'latency_ms'],
    ]) }}
from typed
