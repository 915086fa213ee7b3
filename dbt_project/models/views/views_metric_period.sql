-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='period', key=['metric', 'segment', 'grain', 'start_date'], restates=true,
          tide_indexes=[['start_date', 'grain']]) }}

select
    metrics.metric, metrics.segment, metrics.grain, metrics.start_date, metrics.end_date, metrics.value,
    metrics.is_final, metrics.load_id
from {{ ref('metric_period') }} as metrics
join {{ source('ops', 'touched_periods') }} as touched
    on metrics.grain = touched.grain
    and metrics.start_date = touched.start_date
