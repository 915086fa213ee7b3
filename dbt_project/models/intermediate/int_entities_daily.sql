-- depends_on: {{ ref('int_user_hours') }}, {{ ref('int_order_hours') }}, {{ source('ops', 'touched_days') }}
-- Who or what is behind a distinct count, once a day: the base of exact counts over days and more.
{{ config(grain='day', key=['day', 'measure', 'segment', 'entity']) }}

{{ series_rows('count_distinct', 'touched.day, (@value)::text as entity') }}
