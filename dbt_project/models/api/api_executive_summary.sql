select * from {{ ref('views_executive_summary') }}
