-- The load up to which each table is complete.
select
    table_name,
    load_id,
    built_at
from ops.tidemarks
where table_name not like 'gate:%%'
order by table_name
