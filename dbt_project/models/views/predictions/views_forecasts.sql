-- The newest forecast of each series by the model that serves it, once its gate has passed: a shadow serves its share.
{{ config(key=['series_id', 'ds']) }}

with forecasts as (
    select * from {{ source('ml', 'forecasts') }}
),

newest as (
    select series_id, model_id, load_id, max(made_at) as made_at
    from forecasts
    group by series_id, model_id, load_id
),

chosen as (
    select distinct on (series_id) series_id, model_id, load_id
    from newest
    order by series_id, ml.serves(model_id, series_id) desc, made_at desc
)

select forecasts.*
from forecasts
join chosen using (series_id, model_id, load_id)
