-- A figure that a failing gate holds back is about to change: it is not final, whatever was published of it.
select
    metric,
    segment,
    hour,
    value,
    is_final and hour not in (select hour from {{ source('ops', 'held_hours') }}) as is_final,
    load_id
from {{ ref('views_metric_hourly') }}
