-- People, conversions and values per variant, of those whose window is over: half a window would favour nobody fairly.
-- Sums and sums of squares are all that a test of means needs.
{{ config(key=['experiment', 'goal', 'window_seconds', 'variant']) }}

with as_of as (
    select max(hour) + interval '1 hour' as as_of from {{ ref('views_metric_hourly') }} where is_final
),

intended (experiment, variant, expected_rate) as (
    values
    {%- for name, experiment in var('experiments').items() %}
        {%- for variant, weight in experiment.variants.items() %}
        ('{{ name }}', '{{ variant }}', {{ weight }}::numeric / {{ experiment.variants.values() | sum }}),
        {%- endfor %}
    {%- endfor %}
        (null, null, null::numeric)
),

counted as (
    select
        users.experiment,
        users.goal,
        users.window_seconds,
        users.variant,
        count(*) as users,
        count(*) filter (where users.is_mixed) as mixed_users,
        count(*) filter (where is_complete) as complete_users,
        count(*) filter (where is_complete and users.conversions > 0) as converted_users,
        coalesce(sum(users.conversions) filter (where is_complete), 0)::bigint as conversions,
        coalesce(sum(users.value) filter (where is_complete), 0) as value_sum,
        coalesce(sum(users.value * users.value) filter (where is_complete), 0) as value_square_sum
    from {{ ref('experiment_users') }} as users
    cross join as_of
    cross join lateral (
        select users.exposed_at + users.window_seconds * interval '1 second' <= as_of.as_of as is_complete
    ) as windows
    where users.exposed_at < as_of.as_of
    group by 1, 2, 3, 4
)

select
    counted.*,
    counted.converted_users::numeric / nullif(counted.complete_users, 0) as conversion_rate,
    intended.expected_rate,
    intended.expected_rate * sum(counted.users) over (
        partition by counted.experiment, counted.goal, counted.window_seconds
    ) as expected_users,
    as_of.as_of
from counted
cross join as_of
left join intended on counted.experiment = intended.experiment and counted.variant = intended.variant
