-- What a person did within an hour, split where they were silent for more than 30 minutes. Sessions are made of these,
-- without reading events again.
{{ config(grain='hour', key=['user_id', 'first_at'], tide_indexes=[['hour']]) }}

with activity as (
    select events.hour, events.user_id, events.occurred_at, events.event_type
    from {{ in_touched_hours(ref('stg_events'), 'events') }}
    where events.is_activity
),

spaced as (
    select
        *,
        occurred_at - lag(occurred_at) over (partition by user_id, hour order by occurred_at) as silence,
        lag(event_type) over (partition by user_id, hour order by occurred_at, event_type) as previous_type
    from activity
),

numbered as (
    select
        *,
        count(*) filter (where silence > interval '30 minutes')
            over (partition by user_id, hour order by occurred_at) as span
    from spaced
)

select
    hour,
    user_id,
    min(occurred_at) as first_at,
    max(occurred_at) as last_at,
    count(*) as events,
    -- its first steps, of which those of sessions are made
    array_to_string((
        array_agg(event_type order by occurred_at, event_type) filter (
            where event_type is distinct from previous_type or silence > interval '30 minutes'
        )
    )[1:8], ' > ') as path
from numbered
group by hour, user_id, span
