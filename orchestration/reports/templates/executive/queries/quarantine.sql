-- Why records of those loads were refused.
select
    reason,
    count(*) as records,
    count(*) filter (where replayed_at is not null) as replayed
from raw.quarantine
where load_id in (
    select load_id
    from raw.touched_hours
    where hour >= %(first_day)s::date::timestamp at time zone ops.timezone()
      and hour < (%(as_of)s::date + 1)::timestamp at time zone ops.timezone()
)
group by reason
order by records desc, reason
