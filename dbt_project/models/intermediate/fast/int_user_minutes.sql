{{ config(grain='minute', key=['minute', 'user_id']) }}

with activity as (
    select touched.minute, events.user_id
    from {{ ref('stg_events') }} as events
    {{ join_touched_minutes('events') }}
    where events.is_activity
)

select
    minute,
    user_id,
    count(*) as events
from activity
group by minute, user_id
