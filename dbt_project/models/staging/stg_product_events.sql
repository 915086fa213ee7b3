select *
from {{ ref('stg_product_events_checked') }}
where held_reason is null
