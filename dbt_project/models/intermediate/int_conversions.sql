-- What a unit of each currency was worth in the tenant's, for every hour in which something was paid in it: the day's
-- last rate, or that of the day before, up to seven days back. A rate that comes late changes hours that it did not
-- touch; they are told to what is built from here, so that every converted figure is restated.
{{ config(
    grain='hour', key=['hour', 'currency'], ripples=true,
    affected="day in (select day + later from ops.touched_days cross join generate_series(0, 7) as later)"
) }}

with days as (
    select distinct touched.day + later as day
    from {{ source('ops', 'touched_days') }} as touched
    cross join generate_series(0, 7) as later
),

spans as (
    select
        day,
        day::timestamp at time zone ops.timezone() as starts_at,
        (day + 1)::timestamp at time zone ops.timezone() as ends_at
    from days
),

paid as (
    select spans.day, orders.hour, orders.currency
    from spans
    join {{ ref('int_order_hours') }} as orders on orders.hour >= spans.starts_at and orders.hour < spans.ends_at
    union
    select spans.day, transactions.hour, transactions.currency
    from spans
    join {{ ref('int_transaction_hours') }} as transactions
        on transactions.hour >= spans.starts_at and transactions.hour < spans.ends_at
),

needed as (
    select distinct day, currency from paid
),

rates as (
    select
        needed.day,
        needed.currency,
        case when needed.currency = tenant.currency then 1 else (
            select rates.rate
            from {{ ref('exchange_rates') }} as rates
            where rates.currency = needed.currency
              and rates.base_currency = tenant.currency
              and rates.day <= needed.day
              and rates.day >= needed.day - 7
            order by rates.hour desc
            limit 1
        ) end as rate
    from needed
    cross join ops.tenant
)

select paid.hour, paid.currency, paid.day, rates.rate
from paid
join rates using (day, currency)
