-- The models in service beside their baselines.
with models as (
    select
        name, version, created_at,
        metrics ->> 'measure' as measure,
        metrics ->> 'better' as better,
        metrics ->> 'baseline_name' as baseline_name,
        ops.number_of(metrics -> 'value') as score,
        ops.number_of(metrics -> 'baseline') as baseline,
        ops.number_of(metrics -> 'coverage' -> '80') as coverage_80_rate,
        ops.number_of(metrics -> 'coverage' -> '95') as coverage_95_rate
    from api.models
    where stage = 'serving'
)

select
    *,
    round((score - baseline) / nullif(abs(baseline), 0) * case better when 'lower' then -1 else 1 end, 6) as gain_rate
from models
order by gain_rate desc nulls last, name
