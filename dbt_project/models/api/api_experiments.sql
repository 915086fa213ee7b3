select * from {{ ref('views_experiments') }}
