{{ config(grain='day', key=['metric', 'segment', 'day'], reach_hours=1, tide_indexes=[['day']]) }}

with touched as (
    select day as bucket, starts_at, ends_at
    from {{ source('ops', 'touched_days') }}
),

metric_rows as (
    {{ metric_rows('day') }}
)

select
    metric,
    segment,
    bucket as day,
    value,
    {{ is_final("(bucket + 1)::timestamp at time zone (select timezone from ops.tenant)") }} as is_final,
    ops.build_setting('up_to') as load_id
from metric_rows
