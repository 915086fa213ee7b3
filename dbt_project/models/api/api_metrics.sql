select * from {{ ref('views_metrics') }}
