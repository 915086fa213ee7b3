select * from {{ ref('views_system_status') }}
