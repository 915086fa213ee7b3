-- How each endpoint keeps its objectives, as of the newest complete hour: over that hour and the six and the 28 days before.
{{ config(key=['endpoint']) }}

with as_of as (
    select max(hour) + interval '1 hour' as as_of from {{ ref('views_metric_hourly') }} where is_final
),

objectives (endpoint, availability, latency_p95_ms, requests_per_minute) as (
    values
    {%- for endpoint, objective in var('objectives').items() %}
        ('{{ endpoint }}', {{ objective.availability }}, {{ objective.latency_p95_ms }}, {{ objective.requests_per_minute }})
        {{- ',' if not loop.last }}
    {%- endfor %}
),

measured as (
    select
        hours.endpoint,
        sum(hours.requests) as requests_28d,
        sum(hours.errors) as errors_28d,
        sum(hours.requests) filter (where hours.hour >= as_of.as_of - interval '6 hours') as requests_6h,
        sum(hours.errors) filter (where hours.hour >= as_of.as_of - interval '6 hours') as errors_6h,
        sum(hours.requests) filter (where hours.hour >= as_of.as_of - interval '1 hour') as requests_1h,
        sum(hours.errors) filter (where hours.hour >= as_of.as_of - interval '1 hour') as errors_1h,
        max(hours.latency_p50_ms) filter (where hours.hour >= as_of.as_of - interval '1 hour') as latency_p50_ms,
        max(hours.latency_p95_ms) filter (where hours.hour >= as_of.as_of - interval '1 hour') as latency_p95_ms,
        max(hours.latency_p99_ms) filter (where hours.hour >= as_of.as_of - interval '1 hour') as latency_p99_ms,
        max(hours.busiest_minute_requests) filter (where hours.hour >= as_of.as_of - interval '1 hour') as busiest_minute_requests
    from {{ ref('system_hourly') }} as hours
    cross join as_of
    where hours.hour >= as_of.as_of - interval '28 days' and hours.hour < as_of.as_of
    group by hours.endpoint
),

judged as (
    select
        measured.*,
        objectives.availability as availability_objective,
        objectives.latency_p95_ms as latency_p95_objective_ms,
        1 - measured.errors_28d / measured.requests_28d as availability_rate,
        coalesce(measured.errors_1h / measured.requests_1h, 0) as error_rate_1h,
        -- 1: at this rate the errors that the objective allows are used up exactly at the end of its 28 days
        coalesce(measured.errors_1h / measured.requests_1h, 0) / (1 - objectives.availability) as burn_rate_1h,
        coalesce(measured.errors_6h / measured.requests_6h, 0) / (1 - objectives.availability) as burn_rate_6h,
        1 - measured.errors_28d / measured.requests_28d / (1 - objectives.availability) as error_budget_left_rate,
        measured.busiest_minute_requests / objectives.requests_per_minute as saturation_rate
    from measured
    join objectives
        on objectives.endpoint = case
            when measured.endpoint in (select endpoint from objectives) then measured.endpoint else '*'
        end
)

select
    judged.*,
    case
        when error_rate_1h >= 0.5 then 'down'
        when burn_rate_1h > 1 and burn_rate_6h > 1
            or latency_p95_ms > latency_p95_objective_ms
            or saturation_rate > 1 then 'degraded'
        else 'healthy'
    end as status,
    as_of.as_of
from judged
cross join as_of
