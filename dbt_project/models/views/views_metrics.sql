-- The catalogue of metrics, for people and programs.
{{ config(key=['metric']) }}

select metric, system, description, unit, adds_up, good_direction
from (
    values
    {%- for name, metric in var('metrics').items() %}
        ('{{ name }}', '{{ metric.system }}', $${{ metric.description }}$$, '{{ metric.unit }}',
         '{{ metric.adds_up }}', '{{ metric.good_direction }}'){{ ',' if not loop.last }}
    {%- endfor %}
) as metrics (metric, system, description, unit, adds_up, good_direction)
