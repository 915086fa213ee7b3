-- Only sums: what is counted distinctly does not add up.
{{ config(grain='day', key=['day', 'measure', 'segment']) }}

select
    touched.day,
    hourly.measure,
    hourly.segment,
    sum(hourly.value) as value
from {{ ref('int_measures_hourly') }} as hourly
join {{ source('ops', 'touched_days') }} as touched
    on hourly.hour >= touched.starts_at
    and hourly.hour < touched.ends_at
where hourly.measure in ('{{ all_measures() | selectattr("agg", "eq", "sum") | map(attribute="name") | join("', '") }}')
group by 1, 2, 3
