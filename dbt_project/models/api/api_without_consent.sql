-- Who does not agree to a purpose now, and since when: who withdrew from `reports` is left out of lists of people in them.
select user_id, purpose, since
from {{ source('ops', 'without_consent') }}
where until is null
