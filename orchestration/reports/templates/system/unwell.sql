-- Endpoints that are not healthy now.
select endpoint, status, error_rate_1h, latency_p95_ms, burn_rate_6h
from api.system_status
where status <> 'healthy'
order by status = 'down' desc, burn_rate_6h desc, endpoint
