-- The present: the end of the newest complete hour that was published.
{{ config(materialized='view') }}

select hour + interval '1 hour' as moment
from {{ ref('views_metric_hourly') }}
where metric = 'events' and segment = 'all' and is_final
order by hour desc
limit 1
