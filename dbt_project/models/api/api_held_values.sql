-- How much is held back from the figures, and why: events whose own values cannot be true, and the durations of rooms whose
-- events contradict each other. Like loads and quarantine, as it is now.
select hour, relation, reason, events as records
from {{ ref('held_values') }}
union all
select
    ops.hour_of(coalesce(completed_at, abandoned_at, last_at), ops.timezone()), 'rooms',
    'ends or goes on before it starts', count(*)
from {{ ref('rooms') }}
where is_contradictory
group by 1
