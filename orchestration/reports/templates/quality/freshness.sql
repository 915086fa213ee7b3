-- How fresh the tables are.
select table_name, load_id, built_at, loads_behind
from api.freshness
where table_name not like 'gate:%%'
order by loads_behind desc, built_at, table_name
