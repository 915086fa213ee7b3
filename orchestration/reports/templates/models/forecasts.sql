-- The next seven days of whole metrics.
-- needs api.forecasts
select
    forecasts.series_id as metric, metrics.unit, ops.day_of(forecasts.ds, ops.timezone()) as day,
    forecasts.yhat, forecasts.lo_80, forecasts.hi_80
from api.forecasts as forecasts
join api.metrics as metrics on forecasts.series_id = metrics.metric
where ops.day_of(forecasts.ds, ops.timezone()) between %(last_day)s::date + 1 and %(last_day)s::date + 7
order by metric, day
