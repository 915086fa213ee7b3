select *
from {{ ref('stg_order_lines_checked') }}
where held_reason is null
