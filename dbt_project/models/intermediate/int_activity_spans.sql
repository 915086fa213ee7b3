-- What a person did within an hour, split where they were silent for more than 30 minutes. Sessions are made of these,
-- without reading events again.
{{ config(grain='hour', key=['user_id', 'first_at'], tide_indexes=[['hour']]) }}

with activity as (
    select events.hour, events.user_id, events.occurred_at
    from {{ in_touched_hours(ref('stg_events'), 'events') }}
    where events.is_activity
),

spaced as (
    select
        *,
        occurred_at - lag(occurred_at) over (partition by user_id, hour order by occurred_at) as silence
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
    count(*) as events
from numbered
group by hour, user_id, span
