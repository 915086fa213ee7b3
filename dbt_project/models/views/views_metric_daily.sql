-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='day', key=['metric', 'segment', 'day'], restates=true, tide_indexes=[['day']]) }}

select metrics.metric, metrics.segment, metrics.day, metrics.value, metrics.is_final, metrics.load_id
from {{ ref('metric_daily') }} as metrics
join {{ source('ops', 'touched_days') }} as touched on metrics.day = touched.day
