{{ config(grain='hour', key=['hour', 'endpoint']) }}

with requests as (
    select requests.*
    from {{ in_touched_hours(ref('stg_requests'), 'requests') }}
),

minutes as (
    select hour, endpoint, max(requests) as requests
    from (
        select hour, coalesce(endpoint, 'unknown') as endpoint, count(*) as requests
        from requests
        group by hour, coalesce(endpoint, 'unknown'), date_trunc('minute', occurred_at)
    ) as counted
    group by hour, endpoint
),

hours as (
    select
        hour,
        coalesce(endpoint, 'unknown') as endpoint,
        count(*) as requests,
        count(*) filter (where is_error) as errors,
        percentile_cont(0.5) within group (order by latency_ms) as latency_p50_ms,
        percentile_cont(0.95) within group (order by latency_ms) as latency_p95_ms,
        percentile_cont(0.99) within group (order by latency_ms) as latency_p99_ms
    from requests
    group by 1, 2
)

select hours.*, minutes.requests as busiest_minute_requests
from hours
join minutes using (hour, endpoint)
