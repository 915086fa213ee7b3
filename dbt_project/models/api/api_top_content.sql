select * from {{ ref('views_top_content') }}
