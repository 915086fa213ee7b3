-- The forecast of the days after the period, for two weeks, of the metrics that are drawn.
-- needs api.forecasts
select
    forecasts.series_id as metric,
    metrics.unit,
    ops.day_of(forecasts.ds, ops.timezone()) as day,
    forecasts.yhat,
    forecasts.lo_80,
    forecasts.hi_80,
    forecasts.lo_95,
    forecasts.hi_95,
    forecasts.model_id
from api.forecasts as forecasts
join api.metrics as metrics on forecasts.series_id = metrics.metric
where forecasts.series_id = any(%(metrics)s)
  and forecasts.ds > %(last_day)s::date::timestamp at time zone ops.timezone()
  and ops.day_of(forecasts.ds, ops.timezone()) between %(last_day)s::date + 1 and %(last_day)s::date + 14
order by array_position(%(metrics)s, forecasts.series_id), day
