-- What was published: a copy that moves on only when the gates below have passed.
{{ config(materialized='tide', grain='hour', key=['metric', 'segment', 'hour'], settles=true, restates=true,
          tide_indexes=[['hour']]) }}

select metrics.metric, metrics.segment, metrics.hour, metrics.value, metrics.is_final, metrics.load_id
from {{ ref('metric_hourly') }} as metrics
join {{ source('ops', 'touched_or_settled') }} as touched on metrics.hour = touched.hour
