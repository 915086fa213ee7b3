-- All tables of a run agree with each other, because they stand at the same mark. The fast lane's minutes run ahead.
with marks as (
    select table_name, load_id
    from ops.tidemarks
    where (table_name like 'intermediate.%' or table_name like 'marts.%') and table_name not like '%\_minutes'
)

select load_id, array_agg(table_name) as tables
from marks
group by load_id
having load_id <> (select max(load_id) from marks)
