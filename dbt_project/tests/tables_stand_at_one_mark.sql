-- All tables of a run agree with each other, because they stand at the same mark.
select load_id, array_agg(table_name) as tables
from ops.tidemarks
where table_name like 'intermediate.%' or table_name like 'marts.%'
group by load_id
having load_id <> (select max(load_id) from ops.tidemarks where table_name like 'marts.%')
