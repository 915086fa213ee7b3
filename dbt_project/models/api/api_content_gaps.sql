select * from {{ ref('views_content_gaps') }}
