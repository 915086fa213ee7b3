select * from {{ ref('views_windows') }}
