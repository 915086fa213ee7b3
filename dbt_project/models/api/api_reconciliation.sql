select * from {{ ref('views_reconciliation') }}
