-- Revenue equals the sum of the lines of orders, to the cent, for every currency and day.
with lines as (
    select
        coalesce(currency, 'unknown') as currency,
        ops.day_of(occurred_at, ops.timezone()) as day,
        coalesce(sum(amount), 0) as amount
    from {{ ref('stg_order_lines') }}
    group by 1, 2
),

revenue as (
    select split_part(segment, '=', 2) as currency, day, value
    from {{ ref('metric_daily') }}
    where metric = 'revenue' and segment <> 'all'
)

select *
from lines
full join revenue using (currency, day)
where lines.amount is distinct from revenue.value
