-- Metrics by week (from Monday), month and quarter of the tenant. One that a failing gate holds back is not final.
select
    metric,
    segment,
    grain,
    start_date,
    end_date,
    value,
    is_final and (grain, start_date) not in (
        select grains.grain, date_trunc(grains.grain, ops.day_of(hour, ops.timezone())::timestamp)::date
        from {{ source('ops', 'held_hours') }}
        cross join unnest(array['week', 'month', 'quarter']) as grains (grain)
    ) as is_final,
    load_id
from {{ ref('views_metric_period') }}
