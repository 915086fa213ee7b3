-- The first exposure wins: a person stays in the variant that they saw first, whatever they see later.
{{ config(
    grain='entity', entity='user_id', of=['int_tracked_events'],
    key=['user_id', 'experiment', 'goal', 'window_seconds'], tide_indexes=[['experiment']]
) }}

with plans (experiment, goal, window_seconds) as (
    values
    {%- for name, experiment in var('experiments').items() %}
        {%- for goal in experiment.goals %}
            {%- for window in experiment.windows %}
        ('{{ name }}', '{{ goal }}', {{ window | int }}),
            {%- endfor %}
        {%- endfor %}
    {%- endfor %}
        (null, null, null::integer)
),

events as (
    select tracked.*
    from {{ ref('int_tracked_events') }} as tracked
    join {{ touched_entities('user_id', ['int_tracked_events']) }} as touched using (user_id)
    where tracked.kind in ('exposure', 'goal')
),

exposures as (
    select distinct on (user_id, name)
        user_id,
        name as experiment,
        variant,
        occurred_at as exposed_at,
        count(*) over (partition by user_id, name) as exposures,
        min(variant) over everyone <> max(variant) over everyone as is_mixed
    from events
    where kind = 'exposure'
    window everyone as (partition by user_id, name)
    order by user_id, name, occurred_at, variant
)

select
    exposures.user_id,
    exposures.experiment,
    plans.goal,
    plans.window_seconds,
    exposures.variant,
    exposures.exposed_at,
    exposures.is_mixed,
    coalesce(sum(goals.events) filter (where goals.occurred_at >= exposures.exposed_at), 0)::bigint as conversions,
    coalesce(sum(goals.value) filter (where goals.occurred_at >= exposures.exposed_at), 0) as value,
    coalesce(sum(goals.value) filter (where goals.occurred_at < exposures.exposed_at), 0) as value_before
from exposures
join plans using (experiment)
left join events as goals
    on goals.kind = 'goal'
    and goals.user_id = exposures.user_id
    and goals.name = exposures.experiment
    and goals.step = plans.goal
    and goals.occurred_at >= exposures.exposed_at - plans.window_seconds * interval '1 second'
    and goals.occurred_at < exposures.exposed_at + plans.window_seconds * interval '1 second'
group by 1, 2, 3, 4, 5, 6, 7
