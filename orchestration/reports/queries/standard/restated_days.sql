-- The days whose final figure was changed after it was published.
-- needs api.restatements
select distinct
    metric,
    day
from api.restatements
where segment = 'all'
  and grain = 'day'
  and metric = any(%(metrics)s)
  and day between %(last_day)s::date - 55 and %(last_day)s::date
order by metric, day
