select * from {{ ref('views_retention') }}
