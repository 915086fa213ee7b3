-- depends_on: {{ ref('int_values_daily') }}
{{ config(grain='period', key=['metric', 'segment', 'grain', 'start_date'], tide_indexes=[['start_date', 'grain']]) }}

with touched as (
    select grain, start_date, end_date
    from {{ source('ops', 'touched_periods') }}
),

-- The months of each period, and the days in them that belong to it, as bits.
months as (
    select
        touched.grain,
        touched.start_date,
        date_trunc('month', days.day)::date as month,
        bit_or(set_bit(0::bit(31), extract(day from days.day)::integer - 1, 1)) as days
    from touched
    cross join generate_series(touched.start_date::timestamp, touched.end_date - interval '1 day', '1 day') as days (day)
    group by 1, 2, 3
),

entities as (
    select distinct months.grain, months.start_date, monthly.measure, monthly.segment, monthly.entity
    from months
    join {{ ref('int_entities_monthly') }} as monthly
        on months.month = monthly.month
        and (months.days & monthly.days) <> 0::bit(31)
),

measures as (
    select measures.measure, measures.segment, touched.grain, touched.start_date, sum(measures.value) as value
    from touched
    join {{ ref('int_measures_daily') }} as measures
        on measures.day >= touched.start_date
        and measures.day < touched.end_date
    group by 1, 2, 3, 4
    union all
    select measure, segment, grain, start_date, count(*)
    from entities
    group by 1, 2, 3, 4
),

figures as (
    {{ figures('measures', 'grain, start_date') }}
    union all
    select metric, segment, grain, start_date, value
    from ({{ percentile_figures('touched') }}) as percentiles
)

select
    figures.metric,
    figures.segment,
    figures.grain,
    figures.start_date,
    touched.end_date,
    figures.value,
    {{ is_final("touched.end_date::timestamp at time zone (select timezone from ops.tenant)") }} as is_final,
    ops.build_setting('up_to') as load_id
from figures
join {{ source('ops', 'touched_periods') }} as touched using (grain, start_date)
where figures.value is not null
