select *
from {{ ref('stg_content_events_checked') }}
where held_reason is null
