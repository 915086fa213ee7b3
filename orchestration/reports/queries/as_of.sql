-- The newest complete day that is published: no report looks past it.
select min(as_of_day) as as_of
from api.executive_summary
