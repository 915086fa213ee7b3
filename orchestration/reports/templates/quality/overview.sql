-- What came in over the period, and what became of it.
with loads as (
    select
        count(*) as loads,
        coalesce(sum(received), 0) as received,
        coalesce(sum(loaded), 0) as loaded,
        coalesce(sum(duplicate), 0) as duplicate,
        coalesce(sum(quarantined), 0) as refused,
        coalesce(sum(suppressed), 0) as suppressed
    from api.loads
    where ops.day_of(newest_at, ops.timezone()) between %(first_day)s and %(last_day)s
)

select
    loads.*,
    (
        select coalesce(sum(records), 0)
        from api.held_values
        where ops.day_of(hour, ops.timezone()) between %(first_day)s and %(last_day)s
    ) as held,
    (
        select count(*)
        from api.restatements
        where coalesce(day, ops.day_of(hour, ops.timezone())) between %(first_day)s and %(last_day)s
    ) as restated
from loads
