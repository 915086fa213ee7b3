select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    endpoint,
    method,
    status,
    latency_ms,
    is_error
from {{ ref('stg_requests_checked') }}
where held_reason is null
