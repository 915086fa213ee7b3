{{ config(grain='hour', key=['hour', 'user_id'], tide_indexes=[['user_id', 'hour']]) }}

with activity as (
    select events.hour, events.user_id, events.occurred_at
    from {{ ref('stg_events') }} as events
    {{ join_touched('events') }}
    where events.is_activity
)

select
    hour,
    user_id,
    count(*) as events
from activity
group by hour, user_id
