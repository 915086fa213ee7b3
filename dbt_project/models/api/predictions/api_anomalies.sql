-- What accounts for an anomaly are figures of any segments and metrics: it is told to readers of everything.
select
    series_id, ds, value, score, is_anomaly, expected, lo, hi, model_id, load_id, made_at, direction, effect_size,
    case when (select ops.sees_all()) then explanation end as explanation,
    metric, segment
from {{ ref('views_anomalies') }}
