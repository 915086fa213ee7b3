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
    {{ text_property('endpoint') }} as endpoint,
    {{ text_property('method') }} as method,
    {{ number_property('status') }} as status,
    {{ number_property('latency_ms') }} as latency_ms,
    {{ number_property('status') }} >= 500 as is_error
from events
where event_type = 'request_served'
