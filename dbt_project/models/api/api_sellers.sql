select * from {{ ref('views_sellers') }}
