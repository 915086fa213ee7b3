select * from {{ ref('views_anomalies') }}
