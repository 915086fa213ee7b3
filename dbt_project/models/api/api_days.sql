-- Every day from the first to the newest published one, those without events among them.
select generate_series(min(day), max(day), interval '1 day')::date as day
from {{ ref('views_metric_daily') }}
