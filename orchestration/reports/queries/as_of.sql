-- The complete days that are published: no report looks past them.
select
    min(day) as first_day,
    max(day) filter (where is_final) as last_day
from api.metric_daily
where segment = 'all'
