-- Every version, the newest first.
select
    name, version, stage, created_at,
    metrics ->> 'measure' as measure,
    ops.number_of(metrics -> 'value') as score,
    ops.number_of(metrics -> 'baseline') as baseline
from api.models
order by created_at desc, name
