-- A session starts with an activity that no other of the same person preceded within 30 minutes. So an event decides
-- about its own hour and the next one, and about none beyond.
{{ config(grain='hour', key=['user_id', 'started_at'], reach_hours=1, tide_indexes=[['hour']]) }}

with touched as (
    select hour from {{ source('ops', 'touched') }}
),

-- The touched hours and the half hour before each, as disjoint periods: no event is read twice.
periods as (
    select unnest(range_agg(tstzrange(hour - interval '30 minutes', hour + interval '1 hour'))) as period
    from touched
),

activity as (
    select events.user_id, events.occurred_at, events.hour
    from {{ ref('stg_events') }} as events
    join periods
        on events.occurred_at >= lower(periods.period)
        and events.occurred_at < upper(periods.period)
    where events.is_activity
),

spaced as (
    select
        *,
        lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at
    from activity
)

select
    spaced.hour,
    spaced.user_id,
    spaced.occurred_at as started_at
from spaced
join touched on spaced.hour = touched.hour
where spaced.previous_at is null or spaced.occurred_at - spaced.previous_at > interval '30 minutes'
