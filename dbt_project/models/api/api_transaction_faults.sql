select * from {{ ref('views_transaction_faults') }}
