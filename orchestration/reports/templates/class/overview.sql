-- The classes in the period and in the one before, together.
with periods as (
    select *
    from api.learning_periods
    where scope = 'class' and grain = %(grain)s and (%(class)s::text is null or name = %(class)s)
)

select
    count(*) as classes,
    coalesce(sum(learners), 0) as learners,
    coalesce(sum(activities), 0) as activities,
    round(sum(average_score * scored) / nullif(sum(scored), 0), 6) as average_score,
    (select coalesce(sum(activities), 0) from periods where end_date = %(first_day)s) as previous_activities
from periods
where start_date = %(first_day)s
