select *
from {{ ref('stg_requests_checked') }}
where held_reason is null
