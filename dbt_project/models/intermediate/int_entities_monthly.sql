-- The days of a month on which an entity was there, as bits: distinct counts over weeks, months and quarters read a row
-- for each entity and month, not for each day. A build sets the bits of the touched days anew.
{{ config(
    grain='month', key=['month', 'measure', 'segment', 'entity'],
    columns='month date, measure text, segment text, entity text, days bit(31)',
    affected="(month, measure, segment, entity) in (
        select month, measure, segment, entity from fresh
        union
        select monthly.month, monthly.measure, monthly.segment, monthly.entity
        from intermediate.int_entities_monthly as monthly
        join ops.touched_months as touched on monthly.month = touched.month
        where (monthly.days & touched.days) <> 0::bit(31)
    )"
) }}

with touched as (
    select month, days from {{ source('ops', 'touched_months') }}
),

present as (
    select
        date_trunc('month', daily.day::timestamp)::date as month,
        daily.measure,
        daily.segment,
        daily.entity,
        bit_or(set_bit(0::bit(31), extract(day from daily.day)::integer - 1, 1)) as days
    from {{ ref('int_entities_daily') }} as daily
    join {{ source('ops', 'touched_days') }} as touched_days on daily.day = touched_days.day
    group by 1, 2, 3, 4
),

known as (
    select
        known.month,
        known.measure,
        known.segment,
        known.entity,
        known.days & ~touched.days as days,
        (known.days & touched.days) <> 0::bit(31) as was_present
    from {{ this }} as known
    join touched on known.month = touched.month
),

merged as (
    select
        month,
        measure,
        segment,
        entity,
        coalesce(known.days, 0::bit(31)) | coalesce(present.days, 0::bit(31)) as days
    from known
    full join present using (month, measure, segment, entity)
    where present.days is not null or known.was_present
)

select *
from merged
where days <> 0::bit(31)
