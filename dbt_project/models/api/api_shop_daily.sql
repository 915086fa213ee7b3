select * from {{ ref('views_shop_daily') }}
