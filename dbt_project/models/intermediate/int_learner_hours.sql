-- The time zone that a person's events told last in an hour, and when they last did something for their learning.
{{ config(grain='hour', key=['hour', 'user_id'], tells=['user_id'], tide_indexes=[['user_id', 'hour']]) }}

with events as (
    select
        events.hour,
        events.user_id,
        events.occurred_at,
        events.source,
        events.event_id,
        events.system = 'learning' as is_learning,
        {{ zone_property() }} as timezone
    from {{ in_touched_hours(ref('stg_events'), 'events') }}
    where events.user_id is not null
)

select
    hour,
    user_id,
    (array_agg(timezone order by occurred_at desc, source, event_id) filter (where timezone is not null))[1] as timezone,
    max(occurred_at) filter (where is_learning) as learning_at
from events
where is_learning or timezone is not null
group by hour, user_id
