select * from {{ ref('views_recommendations') }}
