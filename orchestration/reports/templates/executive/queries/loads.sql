-- What the loads brought that changed an hour of the seven days.
select
    count(*) as loads,
    coalesce(sum(received), 0)::bigint as received,
    coalesce(sum(loaded), 0)::bigint as loaded,
    coalesce(sum(duplicate), 0)::bigint as duplicate,
    coalesce(sum(quarantined), 0)::bigint as quarantined,
    coalesce(sum(suppressed), 0)::bigint as suppressed,
    max(committed_at) as newest_at
from raw.loads
where load_id in (
    select load_id
    from raw.touched_hours
    where hour >= %(first_day)s::date::timestamp at time zone ops.timezone()
      and hour < (%(as_of)s::date + 1)::timestamp at time zone ops.timezone()
)
