-- The variant that leads for each goal, beside the one that comes last.
with ranked as (
    select
        *,
        row_number() over (partition by experiment, goal, window_seconds order by conversion_rate desc, variant) as place,
        count(*) over (partition by experiment, goal, window_seconds) as variants
    from api.experiments
    where conversion_rate is not null
)

select
    best.experiment, best.goal, best.window_seconds, best.variant, best.conversion_rate, best.complete_users,
    other.variant as other_variant, other.conversion_rate as other_rate
from ranked as best
join ranked as other
    on other.experiment = best.experiment and other.goal = best.goal and other.window_seconds = best.window_seconds
    and other.place = other.variants
where best.place = 1 and best.variants > 1
order by best.experiment, best.goal, best.window_seconds
