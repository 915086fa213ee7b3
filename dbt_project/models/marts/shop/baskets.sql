-- Which products were ordered together, in complete weeks only: companions change once a week.
{{ config(grain='week', key=['week', 'order_id']) }}

with weeks as (
    select start_date as week, starts_at, ends_at
    from {{ source('ops', 'touched_periods') }}
    where grain = 'week' and {{ is_final('ends_at') }}
)

select
    weeks.week,
    lines.order_id,
    array_agg(distinct lines.product_id order by lines.product_id) as products
from weeks
join {{ ref('int_order_line_hours') }} as lines on lines.hour >= weeks.starts_at and lines.hour < weeks.ends_at
where lines.sold_units > 0 and lines.product_id <> 'unknown'
group by 1, 2
