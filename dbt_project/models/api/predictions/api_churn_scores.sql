select * from {{ ref('views_churn_scores') }}
