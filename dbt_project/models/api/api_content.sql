select * from {{ ref('views_content') }}
