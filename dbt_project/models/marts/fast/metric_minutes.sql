{{ config(grain='minute', key=['metric', 'segment', 'minute'], tide_indexes=[['minute']]) }}

with touched as (
    select minute as bucket, minute as starts_at, minute + interval '1 minute' as ends_at
    from {{ source('ops', 'touched_minutes') }}
),

measured as (
    {{ measure_rows('touched', minute_measures()) }}
)

select
    metric,
    segment,
    bucket as minute,
    value,
    numerator,
    denominator
from measured
