{{ config(key=['series_id', 'ds']) }}

select
    *,
    split_part(series_id, '|', 1) as metric,
    coalesce(nullif(substr(series_id, strpos(series_id || '|', '|') + 1), ''), 'all') as segment
from {{ source('ml', 'anomalies') }}
