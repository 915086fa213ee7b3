select * from {{ ref('views_funnels') }}
