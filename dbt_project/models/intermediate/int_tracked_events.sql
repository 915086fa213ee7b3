-- The events that the funnels and experiments of the configuration ask for, without the others. Those of one moment are
-- one row.
{{ config(
    grain='hour', key=['user_id', 'kind', 'name', 'step', 'occurred_at', 'variant'], tells=['user_id'],
    tide_indexes=[['hour']]
) }}

select
    events.hour,
    events.user_id,
    tracked.kind,
    tracked.name,
    tracked.step,
    events.occurred_at,
    coalesce(tracked.variant, '') as variant,
    count(*) as events,
    coalesce(sum(tracked.value), 0) as value
from {{ in_touched_hours(of_types(ref('stg_events'), tracked_types()), 'events') }}
cross join lateral (
    select null as kind, null as name, null as step, null as variant, null::numeric as value where false
    {%- for kind, name, step, condition, variant, value in tracked() %}
    union all
    select '{{ kind }}', '{{ name }}', '{{ step }}', {{ variant }}, {{ value }} where {{ condition }}
    {%- endfor %}
) as tracked
where events.user_id is not null
group by 1, 2, 3, 4, 5, 6, 7
