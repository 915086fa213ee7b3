select * from {{ ref('views_active_users') }}
