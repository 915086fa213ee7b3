select * from {{ ref('views_price_history') }}
