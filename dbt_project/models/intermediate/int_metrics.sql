-- The catalogue as rows, for what has to know how a metric adds up.
{{ config(materialized='view') }}

select
    metric, system, description, unit, grain, adds_up, good_direction, owner, segments, is_signed
from (
    values
    {%- for metric in catalogue() %}
        ('{{ metric.name }}', '{{ metric.meta.system }}', $${{ metric.description }}$$, '{{ metric.meta.unit }}',
         '{{ metric.grain }}', '{{ metric.adds_up }}', '{{ metric.meta.good_direction }}', '{{ metric.meta.owner }}',
         array[{% for segment in metric.segments %}'{{ segment }}'{{ ', ' if not loop.last }}{% endfor %}]::text[],
         {{ metric.meta.is_signed or false }}){{ ',' if not loop.last }}
    {%- endfor %}
) as metrics (metric, system, description, unit, grain, adds_up, good_direction, owner, segments, is_signed)
