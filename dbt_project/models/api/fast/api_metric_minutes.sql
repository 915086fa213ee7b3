select metric, segment, minute, value from {{ ref('views_metric_minutes') }}
