-- The values of a day in buckets of nearly equal ratio: counts say in which bucket a percentile lies.
{{ config(grain='day', key=['day', 'measure', 'segment', 'bucket']) }}

select
    touched.day,
    hourly.measure,
    hourly.segment,
    ops.bucket_of(unnested.value, 40) as bucket,
    count(*) as count,
    array_agg(unnested.value order by unnested.value) as observed
from {{ ref('int_values_hourly') }} as hourly
join {{ source('ops', 'touched_days') }} as touched
    on hourly.hour >= touched.starts_at
    and hourly.hour < touched.ends_at
cross join unnest(hourly.observed) as unnested (value)
group by 1, 2, 3, 4
