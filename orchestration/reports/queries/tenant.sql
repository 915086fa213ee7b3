-- Whose numbers these are, and when and where this snapshot was taken.
select
    name,
    timezone,
    currency,
    now() as taken_at,
    split_part(current_setting('server_version'), ' ', 1) as postgresql
from ops.tenant
