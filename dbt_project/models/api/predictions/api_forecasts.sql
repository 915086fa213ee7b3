select * from {{ ref('views_forecasts') }}
