-- Each step follows the one before, and comes within the funnel's time of the entry: so steps never grow.
{{ config(
    grain='entity', entity='user_id', of=['int_tracked_events'], key=['user_id', 'funnel', 'day', 'step'],
    tide_indexes=[['day']]
) }}

with recursive funnels (funnel, within) as (
    values
    {%- for name, funnel in var('funnels').items() %}
        ('{{ name }}', interval '{{ funnel.within }} seconds'),
    {%- endfor %}
        (null, null)
),

events as (
    select tracked.user_id, tracked.name as funnel, tracked.step::integer as step, tracked.occurred_at, funnels.within
    from {{ ref('int_tracked_events') }} as tracked
    join {{ touched_entities('user_id', ['int_tracked_events']) }} as touched using (user_id)
    join funnels on tracked.name = funnels.funnel
    where tracked.kind = 'funnel'
),

reached as (
    select
        user_id,
        funnel,
        ops.day_of(min(occurred_at), (select timezone from ops.tenant)) as day,
        step,
        min(occurred_at) as entered_at,
        min(occurred_at) as reached_at,
        within
    from events
    where step = 1
    group by user_id, funnel, ops.day_of(occurred_at, (select timezone from ops.tenant)), step, within
    union all
    select reached.user_id, reached.funnel, reached.day, next.step, reached.entered_at, next.occurred_at, reached.within
    from reached
    -- by the key of the table: a scan of all events for each entry would grow with their square
    cross join lateral (
        select reached.step + 1 as step, min(tracked.occurred_at) as occurred_at
        from {{ ref('int_tracked_events') }} as tracked
        where tracked.user_id = reached.user_id
          and tracked.kind = 'funnel'
          and tracked.name = reached.funnel
          and tracked.step = (reached.step + 1)::text
          and tracked.occurred_at >= reached.reached_at
          and tracked.occurred_at <= reached.entered_at + reached.within
    ) as next
    where next.occurred_at is not null
)

select
    user_id,
    funnel,
    day,
    step,
    entered_at,
    reached_at,
    extract(epoch from reached_at - entered_at) as seconds
from reached
