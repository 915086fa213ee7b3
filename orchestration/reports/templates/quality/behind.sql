-- Published tables that have not taken in the newest load.
select table_name, loads_behind
from api.freshness
where loads_behind > 0 and table_name like 'views.%%'
order by loads_behind desc, table_name
