{{ config(grain='hour', key=['metric', 'segment', 'hour'], settles=true, tide_indexes=[['hour']]) }}

with touched as (
    select hour from {{ source('ops', 'touched_or_settled') }}
),

measures as (
    select measures.*
    from {{ ref('int_measures_hourly') }} as measures
    join touched on measures.hour = touched.hour
),

observed as (
    select observed.hour, observed.measure, observed.segment, unnested.value
    from {{ ref('int_values_hourly') }} as observed
    join touched on observed.hour = touched.hour
    cross join unnest(observed.observed) as unnested (value)
),

figures as (
    {{ figures('measures', 'hour') }}
    union all
    select metric, segment, hour, (percentile_cont(percentile) within group (order by value))::numeric
    from observed
    join {{ percentiles() }} using (measure)
    group by metric, segment, hour, percentile
)

select
    metric,
    segment,
    hour,
    value,
    {{ is_final("hour + interval '1 hour'") }} as is_final,
    ops.build_setting('up_to') as load_id
from figures
where value is not null
