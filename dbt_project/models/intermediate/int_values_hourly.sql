-- depends_on: {{ ref('stg_requests') }}, {{ source('ops', 'touched') }}
-- All values behind the percentiles, in order: exact over any time, without reading events again.
{{ config(grain='hour', key=['hour', 'measure', 'segment']) }}

with parts as (
    {{ series_rows(
        'percentile', 'measured.hour, array_agg((@value)::double precision order by (@value)::double precision) as observed'
    ) }}
)

select hour, measure, segment, observed
from parts
{%- for measure in all_measures() | selectattr('agg', 'eq', 'percentile') | unique(attribute='series') if measure.segments %}
union all
select parts.hour, parts.measure, 'all', array_agg(unnested.value order by unnested.value)
from parts
cross join unnest(parts.observed) as unnested (value)
where parts.measure = '{{ measure.series }}' and parts.segment like '{{ measure.segments[0] }}=%'
group by 1, 2
{%- endfor %}
