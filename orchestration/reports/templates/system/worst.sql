-- Every endpoint beside its objectives, the one with the least budget first.
select
    endpoint, status, availability_rate, availability_objective, error_budget_left_rate, latency_p95_ms,
    latency_p95_objective_ms, requests_28d, errors_28d, saturation_rate,
    count(*) over () as endpoints,
    count(*) filter (where error_budget_left_rate <= 0) over () as missed
from api.system_status
order by error_budget_left_rate, endpoint
