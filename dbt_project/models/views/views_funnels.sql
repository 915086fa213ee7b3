-- Of those who entered a funnel in the 28 newest complete days: how many reached each step, and how long it took them.
{{ config(key=['funnel', 'step']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

steps (funnel, step, event_type) as (
    values
    {%- for name, funnel in var('funnels').items() %}
        {%- for step in funnel.steps %}
        ('{{ name }}', {{ loop.index }}, '{{ step.event_type }}'),
        {%- endfor %}
    {%- endfor %}
        (null, 0, null)
),

reached as (
    select
        funnel,
        step,
        count(*) as entries,
        count(distinct user_id) as users,
        percentile_disc(0.5) within group (order by seconds) as median_seconds
    from {{ ref('funnel_steps') }}
    cross join as_of
    where funnel_steps.day > as_of.day - 28 and funnel_steps.day <= as_of.day
    group by funnel, step
),

counted as (
    select
        steps.*,
        coalesce(reached.entries, 0) as entries,
        coalesce(reached.users, 0) as users,
        reached.median_seconds
    from steps
    left join reached on steps.funnel = reached.funnel and steps.step = reached.step
    where steps.funnel is not null
)

select
    counted.*,
    entries::numeric / nullif(first_value(entries) over funnel, 0) as conversion_rate,
    entries::numeric / nullif(lag(entries) over funnel, 0) as step_conversion_rate,
    as_of.day as as_of_day
from counted
cross join as_of
window funnel as (partition by counted.funnel order by step)
