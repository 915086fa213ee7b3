-- The latencies themselves are kept, for percentiles over windows to be exact.
{{ config(grain='minute', key=['minute', 'endpoint']) }}

with requests as (
    select touched.minute, requests.*
    from {{ ref('stg_requests') }} as requests
    {{ join_touched_minutes('requests') }}
)

select
    minute,
    coalesce(endpoint, 'unknown') as endpoint,
    count(*) as requests,
    count(*) filter (where is_error) as errors,
    array_agg(latency_ms::double precision) filter (where latency_ms is not null) as latencies
from requests
group by 1, 2
