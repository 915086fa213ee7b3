select * from {{ ref('views_journeys') }}
