select *
from {{ ref('views_leaderboard') }}
-- who agreed to be named in reports, or was never asked
where user_id not in (select user_id from {{ source('ops', 'without_consent') }} where purpose = 'reports' and until is null)
