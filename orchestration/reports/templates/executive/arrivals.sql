-- What the loads of the period brought.
-- needs api.loads
select
    count(*) as loads,
    coalesce(sum(received), 0) as received,
    coalesce(sum(loaded), 0) as loaded,
    coalesce(sum(duplicate), 0) as duplicate,
    coalesce(sum(quarantined), 0) as refused,
    coalesce(sum(suppressed), 0) as suppressed
from api.loads
where ops.day_of(newest_at, ops.timezone()) between %(first_day)s and %(last_day)s
