-- The steps of every funnel.
select funnel, step, event_type, entries, users, conversion_rate, median_seconds
from api.funnels
order by funnel, step
