-- What people look for and do not get.
select gap, name, demand, gap_rate, evidence
from api.content_gaps
order by demand desc, gap, name
