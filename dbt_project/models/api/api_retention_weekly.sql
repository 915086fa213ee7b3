select * from {{ ref('views_retention_weekly') }}
