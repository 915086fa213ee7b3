select *
from {{ ref('stg_lessons_checked') }}
where held_reason is null
