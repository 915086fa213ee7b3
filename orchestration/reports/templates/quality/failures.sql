-- The newest verdicts that were no plain pass.
select evaluated_at, table_name, status, load_id, hours_checked, rows_checked, missed
from api.gate_results
where status <> 'passed'
order by status = 'failed' desc, gate_result_id desc
limit 200
