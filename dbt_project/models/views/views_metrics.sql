-- The catalogue of metrics, for people and programs.
{{ config(key=['metric']) }}

select metric, system, description, unit, grain, adds_up, good_direction, owner, segments
from {{ ref('int_metrics') }}
