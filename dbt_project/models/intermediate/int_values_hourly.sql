-- depends_on: {{ ref('stg_requests') }}, {{ source('ops', 'touched') }}
-- All values behind the percentiles, in order: exact over any time, without reading events again.
{{ config(grain='hour', key=['hour', 'measure', 'segment']) }}

{{ series_rows(
    'percentile', 'measured.hour, array_agg((@value)::double precision order by (@value)::double precision) as observed'
) }}
