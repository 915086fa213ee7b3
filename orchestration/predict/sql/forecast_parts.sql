-- Final values of a metric, whole and by one dimension: part (empty for the whole), seconds since 1970 of the step's
-- local midnight or of the hour itself, and value. What does not happen counts as 0 where values add up.
with newest as (
    select max({step}) as step from api.metric_{grain} where is_final and segment = 'all'
),

series as (
    select
        values.segment,
        metrics.adds_up in ('sum', 'distinct') as is_zero_when_absent,
        greatest(min(values.{step}), newest.step - %(history)s * interval '1 {step}') as first_step
    from api.metric_{grain} as values
    join api.metrics as metrics on values.metric = metrics.metric
    cross join newest
    where values.metric = %(metric)s and values.is_final
        and (values.segment = 'all' or starts_with(values.segment, %(by)s || '='))
    group by values.segment, metrics.adds_up, newest.step
),

steps as (
    select series.segment, series.is_zero_when_absent, steps.step
    from series
    cross join newest
    cross join generate_series(series.first_step::{type}, newest.step::{type}, interval '1 {step}') as steps (step)
)

select
    case when steps.segment = 'all' then '' else steps.segment end as part,
    extract(epoch from steps.step)::bigint as step,
    coalesce(values.value, 0)::double precision as value
from steps
left join api.metric_{grain} as values
    on values.metric = %(metric)s and steps.segment = values.segment and steps.step = values.{step}
where values.is_final or (values.metric is null and steps.is_zero_when_absent)
order by 1, 2
