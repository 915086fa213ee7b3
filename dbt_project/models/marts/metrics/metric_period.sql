-- depends_on: {{ ref('int_values_daily') }}
{{ config(grain='period', key=['metric', 'segment', 'grain', 'start_date'], tide_indexes=[['start_date', 'grain']]) }}

with touched as (
    select grain, start_date, end_date
    from {{ source('ops', 'touched_periods') }}
),

-- The quarters in which each period lies, and the days in them that belong to it, as bits. A week may lie in two.
quarters as (
    select
        touched.grain,
        touched.start_date,
        date_trunc('quarter', days.day)::date as quarter,
        bit_or(ops.day_bit(days.day::date)) as days,
        count(*) over (partition by touched.grain, touched.start_date) > 1 as is_one_of_two
    from touched
    cross join generate_series(touched.start_date::timestamp, touched.end_date - interval '1 day', '1 day') as days (day)
    group by 1, 2, 3
),

-- An entity of a period that lies in one quarter has one row, of two quarters up to two.
distinct_counts as (
    select
        entities.measure, entities.segment, quarters.grain, quarters.start_date, count(*) as value
    from quarters
    join {{ ref('int_entities_quarterly') }} as entities
        on quarters.quarter = entities.quarter and (quarters.days & entities.days) <> 0::bit(92)
    where not quarters.is_one_of_two
    group by 1, 2, 3, 4
    union all
    select measure, segment, grain, start_date, count(*)
    from (
        select distinct entities.measure, entities.segment, quarters.grain, quarters.start_date, entities.entity
        from quarters
        join {{ ref('int_entities_quarterly') }} as entities
            on quarters.quarter = entities.quarter and (quarters.days & entities.days) <> 0::bit(92)
        where quarters.is_one_of_two
    ) as present
    group by 1, 2, 3, 4
),

measures as (
    select measures.measure, measures.segment, touched.grain, touched.start_date, sum(measures.value) as value
    from touched
    join {{ ref('int_measures_daily') }} as measures
        on measures.day >= touched.start_date
        and measures.day < touched.end_date
    group by 1, 2, 3, 4
    union all
    select measure, segment, grain, start_date, value
    from distinct_counts
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
