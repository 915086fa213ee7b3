select * from {{ ref('views_user_daily') }}
