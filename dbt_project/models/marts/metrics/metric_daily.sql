{{ config(grain='day', key=['metric', 'segment', 'day'], tide_indexes=[['day']]) }}

with touched as (
    select 'day' as grain, day as start_date, day + 1 as end_date
    from {{ source('ops', 'touched_days') }}
),

measures as (
    select measure, segment, day, value
    from {{ ref('int_measures_daily') }}
    where day in (select start_date from touched)
    union all
    select measure, segment, day, count(*)
    from {{ ref('int_entities_daily') }}
    where day in (select start_date from touched)
    group by measure, segment, day
),

bucket_counts as (
    select 'day' as grain, day as start_date, measure, segment, bucket, count as total
    from {{ ref('int_values_daily') }}
    where day in (select start_date from touched)
),

figures as (
    {{ figures('measures', 'day') }}
    union all
    select metric, segment, start_date, value
    from ({{ percentile_figures('touched', 'bucket_counts') }}) as percentiles
)

select
    metric,
    segment,
    day,
    value,
    {{ is_final("(day + 1)::timestamp at time zone (select timezone from ops.tenant)") }} as is_final,
    ops.build_setting('up_to') as load_id
from figures
where value is not null
