-- The models in service, with what they were measured by out of sample.
-- needs api.models
select
    model_id,
    name,
    version,
    metrics
from api.models
where stage = 'serving'
order by name
