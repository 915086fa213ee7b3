{{ config(grain='hour', key=['metric', 'segment', 'hour'], settles=true, reach_hours=1, tide_indexes=[['hour']]) }}

with touched as (
    select hour as bucket, hour as starts_at, hour + interval '1 hour' as ends_at
    from {{ source('ops', 'touched_or_settled') }}
),

metric_rows as (
    {{ metric_rows('hour') }}
)

select
    metric,
    segment,
    bucket as hour,
    value,
    {{ is_final("bucket + interval '1 hour'") }} as is_final,
    ops.build_setting('up_to') as load_id
from metric_rows
