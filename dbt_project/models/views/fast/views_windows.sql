-- The newest 1, 5, 15 and 60 complete minutes of every metric that is counted in minutes.
{{ config(key=['metric', 'segment', 'window_minutes']) }}

{%- set parts = minute_measures() -%}
{%- set exact = [] -%}
{%- for entry in parts -%}
    {%- set measures = {} -%}
    {%- for name, measure in entry.measures.items() if measure.adds_up -%}
        {%- do measures.update({name: measure}) -%}
    {%- endfor -%}
    {%- if measures -%}{%- do exact.append(dict(entry, measures=measures)) -%}{%- endif -%}
{%- endfor %}

with newest as (
    select max(newest_at) as newest_at
    from raw.loads
    where load_id <= (select load_id from ops.tidemarks where table_name = 'views.metric_minutes')
),

-- A minute is complete when an event of a later one is there. One that its own source received before it happened says
-- nothing of that: a client's clock was ahead.
as_of as (
    select date_trunc('minute', greatest(
        max(least(events.occurred_at, events.received_at)), (select newest_at - interval '5 minutes' from newest)
    )) as as_of
    from {{ source('raw', 'events') }} as events
    where events.occurred_at > (select newest_at - interval '5 minutes' from newest)
        and events.occurred_at <= (select newest_at from newest)
),

windows as (
    select minutes as bucket, as_of - minutes * interval '1 minute' as starts_at, as_of as ends_at
    from as_of
    cross join (values (1), (5), (15), (60)) as windows (minutes)
),

summed as (
    select
        windows.bucket,
        minutes.metric,
        minutes.segment,
        sum(minutes.value) as value,
        sum(minutes.numerator) as numerator,
        sum(minutes.denominator) as denominator
    from {{ ref('views_metric_minutes') }} as minutes
    join windows on minutes.minute >= windows.starts_at and minutes.minute < windows.ends_at
    where minutes.metric not in ({% for entry in exact %}{% for name in entry.measures %}'{{ name }}'
        {{- ', ' if not loop.last }}{% endfor %}{{ ', ' if not loop.last }}{% endfor %})
    group by 1, 2, 3
),

counted as (
    {{ measure_rows('windows', exact) }}
)

select
    metric,
    segment,
    bucket as window_minutes,
    case when denominator is null then value else numerator / nullif(denominator, 0) end as value,
    case when adds_up then value / (bucket * 60) end as per_second,
    as_of.as_of
from (
    select metric, segment, bucket, value, numerator, denominator, denominator is null as adds_up from summed
    union all
    select metric, segment, bucket, value, numerator, denominator, false from counted
) as measured
cross join as_of
