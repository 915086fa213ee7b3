-- How good the frozen forecasts of each series were, by model and by how many steps ahead they reached.
select
    models.name,
    scores.series_id,
    scores.model_id,
    scores.horizon,
    count(*) as n,
    avg(scores.mase) as mase,
    avg(scores.smape) as smape,
    avg(scores.pinball) as pinball,
    avg(scores.is_in_80::int) as coverage_80_rate,
    avg(scores.is_in_95::int) as coverage_95_rate,
    max(scores.ds) as newest_ds
from {{ source('ml', 'forecast_scores') }} as scores
join {{ source('ml', 'models') }} as models using (model_id)
group by models.name, scores.series_id, scores.model_id, scores.horizon
