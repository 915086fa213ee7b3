select *
from {{ ref('stg_exchange_rates_checked') }}
where held_reason is null
