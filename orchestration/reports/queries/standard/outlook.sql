-- The best and the least of the next seven days that are forecast for the first metric.
-- needs api.forecasts
with coming as (
    select
        ops.day_of(ds, ops.timezone()) as day,
        yhat,
        lo_80,
        hi_80
    from api.forecasts
    where series_id = %(lead)s
      and ops.day_of(ds, ops.timezone()) between %(last_day)s::date + 1 and %(last_day)s::date + 7
),

extremes as (
    select
        (array_agg(day order by yhat desc, day))[1] as best_day,
        (array_agg(day order by yhat, day))[1] as least_day
    from coming
)

select
    %(lead)s::text as metric,
    metrics.unit,
    best.day as best_day,
    best.yhat as best,
    best.lo_80 as best_lo,
    best.hi_80 as best_hi,
    least_one.day as least_day,
    least_one.yhat as lowest,
    least_one.lo_80 as lowest_lo,
    least_one.hi_80 as lowest_hi
from extremes
join coming as best on best.day = extremes.best_day
join coming as least_one on least_one.day = extremes.least_day
join api.metrics as metrics on metrics.metric = %(lead)s
