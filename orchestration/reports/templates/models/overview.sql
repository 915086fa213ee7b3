-- How many models serve, and how many are better than what anybody could do.
select
    count(*) filter (where stage = 'serving') as serving,
    count(*) filter (
        where stage = 'serving'
          and ops.number_of(metrics -> 'value') <> ops.number_of(metrics -> 'baseline')
          and (ops.number_of(metrics -> 'value') < ops.number_of(metrics -> 'baseline')) = (metrics ->> 'better' = 'lower')
    ) as better,
    count(*) filter (where stage = 'rejected') as rejected
from api.models
