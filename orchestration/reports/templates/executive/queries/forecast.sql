-- The forecast of daily revenue for the two weeks after the report's last day.
-- needs api.forecasts
select
    ops.day_of(ds, ops.timezone()) as day,
    yhat,
    lo_80,
    hi_80,
    lo_95,
    hi_95,
    model_id
from api.forecasts
where series_id = 'revenue'
  and ops.day_of(ds, ops.timezone()) between %(as_of)s::date + 1 and %(as_of)s::date + 14
order by day
