-- What alerts opened, and whether it is over. Like loads and quarantine, as it is now.
select
    incident_id, rule, metric, segment, severity, status, owner, opened_hour, resolved_hour, opened_at, resolved_at,
    value, expected, lo, hi, detail
from {{ source('ops', 'incidents') }}
