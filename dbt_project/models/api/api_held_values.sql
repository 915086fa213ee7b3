-- How many events are held back from the figures, and why. Like loads and quarantine, as it is now.
select hour, relation, reason, events from {{ ref('held_values') }}
