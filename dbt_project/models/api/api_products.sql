select * from {{ ref('views_products') }}
