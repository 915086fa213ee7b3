-- The days of a quarter on which an entity was there, as bits: distinct counts over weeks, months and quarters read a row
-- for each entity, not for each of its days. A build sets the bits of the touched days anew.
{{ config(
    grain='quarter', key=['quarter', 'measure', 'segment', 'entity'],
    columns='quarter date, measure text, segment text, entity text, days bit(92)',
    affected="(quarter, measure, segment, entity) in (
        select quarter, measure, segment, entity from fresh
        union
        select quarterly.quarter, quarterly.measure, quarterly.segment, quarterly.entity
        from intermediate.int_entities_quarterly as quarterly
        join ops.touched_quarters as touched on quarterly.quarter = touched.quarter
        where (quarterly.days & touched.days) <> 0::bit(92)
    )"
) }}

with touched as (
    select quarter, days from {{ source('ops', 'touched_quarters') }}
),

present as (
    select
        date_trunc('quarter', daily.day::timestamp)::date as quarter,
        daily.measure,
        daily.segment,
        daily.entity,
        bit_or(ops.day_bit(daily.day)) as days
    from {{ ref('int_entities_daily') }} as daily
    join {{ source('ops', 'touched_days') }} as touched_days on daily.day = touched_days.day
    group by 1, 2, 3, 4
),

known as (
    select
        known.quarter,
        known.measure,
        known.segment,
        known.entity,
        known.days & ~touched.days as days,
        (known.days & touched.days) <> 0::bit(92) as was_present
    from {{ this }} as known
    join touched on known.quarter = touched.quarter
),

merged as (
    select
        quarter,
        measure,
        segment,
        entity,
        coalesce(known.days, 0::bit(92)) | coalesce(present.days, 0::bit(92)) as days
    from known
    full join present using (quarter, measure, segment, entity)
    where present.days is not null or known.was_present
)

select *
from merged
where days <> 0::bit(92)
