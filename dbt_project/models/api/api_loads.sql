-- What every load brought: received = loaded + duplicate + quarantined + suppressed.
select
    load_id, source, locator, cause, received, loaded, duplicate, quarantined, suppressed, newest_at,
    started_at, committed_at
from {{ source('raw', 'loads') }}
