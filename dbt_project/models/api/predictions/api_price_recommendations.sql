select * from {{ ref('views_price_recommendations') }}
