select * from {{ ref('views_metric_daily') }}
