select *
from {{ ref('stg_transactions_checked') }}
where held_reason is null
