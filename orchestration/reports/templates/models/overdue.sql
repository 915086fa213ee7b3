-- Models in service that are no better than their baseline.
select
    name, version,
    metrics ->> 'measure' as measure,
    ops.number_of(metrics -> 'value') as score,
    ops.number_of(metrics -> 'baseline') as baseline
from api.models
where stage = 'serving'
  and (ops.number_of(metrics -> 'value') < ops.number_of(metrics -> 'baseline')) <> (metrics ->> 'better' = 'lower')
order by name
