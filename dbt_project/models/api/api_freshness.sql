-- Up to which load each table is complete.
select
    marks.table_name,
    marks.load_id,
    marks.built_at,
    (select max(load_id) from raw.loads) - marks.load_id as loads_behind
from ops.tidemarks as marks
