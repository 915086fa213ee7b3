select * from {{ ref('views_content_momentum') }}
