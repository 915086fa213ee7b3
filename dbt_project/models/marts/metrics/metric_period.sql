{{ config(grain='period', key=['metric', 'segment', 'grain', 'start_date'], tide_indexes=[['start_date', 'grain']]) }}

with touched as (
    select grain, start_date, end_date
    from {{ source('ops', 'touched_periods') }}
),

-- What is there in a quarter is counted already; of a week in two of them, what is there on any of its days.
distinct_counts as (
    select counts.measure, counts.segment, counts.grain, counts.start_date, counts.total as value
    from {{ tally('entity_counts') }} as counts
    join touched on counts.grain = touched.grain and counts.start_date = touched.start_date
    union all
    select measure, segment, grain, start_date, count(*)
    from (
        select distinct entities.measure, entities.segment, weeks.grain, weeks.start_date, entities.entity
        from touched as weeks
        join {{ ref('int_entities_daily') }} as entities
            on entities.day >= weeks.start_date and entities.day < weeks.end_date
        where weeks.grain = 'week'
          and date_trunc('quarter', weeks.start_date::timestamp) < date_trunc('quarter', weeks.end_date - interval '1 day')
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
    from ({{ percentile_figures('touched', tally('bucket_counts')) }}) as percentiles
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
