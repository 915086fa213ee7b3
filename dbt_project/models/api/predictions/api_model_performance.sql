-- What became of the predictions of each model, beside what its test had promised. What the performance report reads.
with outcomes as (
    select model_id, count(*) as n, 'MASE' as measure, avg(mase) as value, avg(is_in_80::int) as coverage_80_rate,
        avg(is_in_95::int) as coverage_95_rate, max(scored_at) as newest_at
    from {{ source('ml', 'forecast_scores') }}
    group by model_id
    union all
    select model_id, count(*), 'Brier score', avg((probability - has_churned::int) ^ 2), null, null, max(settled_at)
    from {{ source('ml', 'churn_scores') }}
    where has_churned is not null
    group by model_id
),

drifted as (
    select model_id, count(*) filter (where is_drift) as drifted_inputs
    from (
        select distinct on (model_id, input) model_id, is_drift
        from {{ source('ml', 'drift') }}
        order by model_id, input, load_id desc
    ) as newest
    group by model_id
)

select
    models.model_id,
    models.name,
    models.stage,
    outcomes.n,
    coalesce(outcomes.measure, models.metrics ->> 'measure') as measure,
    outcomes.value,
    (models.metrics ->> 'value')::double precision as promised_value,
    (models.metrics ->> 'baseline')::double precision as baseline_value,
    outcomes.coverage_80_rate,
    outcomes.coverage_95_rate,
    drifted.drifted_inputs,
    outcomes.newest_at
from {{ source('ml', 'models') }} as models
left join outcomes using (model_id)
left join drifted using (model_id)
