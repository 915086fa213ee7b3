select * from {{ ref('views_basket_companions') }}
