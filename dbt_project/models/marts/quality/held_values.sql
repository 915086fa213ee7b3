{{ config(grain='hour', key=['hour', 'relation', 'reason']) }}

with held as (
    select held.*
    from {{ in_touched_hours(ref('stg_held'), 'held') }}
)

select
    hour,
    relation,
    reason,
    count(*) as events
from held
group by 1, 2, 3
