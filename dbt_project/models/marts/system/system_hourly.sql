{{ config(grain='hour', key=['hour', 'endpoint']) }}

with requests as (
    select requests.*
    from {{ in_touched_hours(ref('stg_requests'), 'requests') }}
)

select
    hour,
    coalesce(endpoint, 'unknown') as endpoint,
    count(*) as requests,
    count(*) filter (where is_error) as errors,
    percentile_cont(0.5) within group (order by latency_ms) as latency_p50_ms,
    percentile_cont(0.95) within group (order by latency_ms) as latency_p95_ms
from requests
group by 1, 2
