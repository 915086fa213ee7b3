-- How near the forecast load of each endpoint comes to what it is built for, hour by hour.
with objectives (endpoint, requests_per_minute) as (
    values
    {%- for endpoint, objective in var('objectives').items() %}
        ('{{ endpoint }}', {{ objective.requests_per_minute }}::double precision)
        {{- ',' if not loop.last }}
    {%- endfor %}
),

load as (
    select
        substr(series_id, strpos(series_id, '=') + 1) as endpoint,
        ds as hour,
        yhat / 60 as requests_per_minute,
        hi_95 / 60 as hi_95
    from {{ ref('views_forecasts') }}
    where starts_with(series_id, 'request_load|endpoint=')
)

select
    load.endpoint,
    load.hour,
    load.requests_per_minute,
    load.hi_95 as requests_per_minute_hi_95,
    coalesce(own.requests_per_minute, other.requests_per_minute) as capacity_per_minute,
    load.requests_per_minute / coalesce(own.requests_per_minute, other.requests_per_minute) as utilisation_rate,
    load.hi_95 > coalesce(own.requests_per_minute, other.requests_per_minute) as has_risk
from load
left join objectives as own on load.endpoint = own.endpoint
left join objectives as other on other.endpoint = '*'
