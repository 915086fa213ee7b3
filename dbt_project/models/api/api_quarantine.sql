-- How many records of each load were refused, and why, and how many of them came in after all. Without the records.
select
    load_id,
    source,
    reason,
    count(*) as records,
    count(*) filter (where replayed_at is not null) as replayed,
    count(*) filter (where dropped_at is not null) as dropped
from {{ source('raw', 'quarantine') }}
group by load_id, source, reason
