-- How gates judged since the period began.
select
    count(*) as judged,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'warned') as warned
from api.gate_results
