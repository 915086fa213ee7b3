-- Money is in the tenant's currency; lines whose currency has no rate are counted as unconverted.
{{ config(grain='day', key=['day', 'product_id'], tide_indexes=[['product_id', 'day']]) }}

with days as (
    select * from {{ source('ops', 'touched_days') }}
),

sold as (
    select
        days.day,
        lines.product_id,
        max(nullif(lines.category, 'unknown')) as category,
        count(distinct lines.order_id) filter (where lines.sold_units > 0) as orders,
        count(distinct lines.user_id) filter (where lines.sold_units > 0) as customers,
        sum(lines.sold_units) as sold_units,
        sum(lines.returned_units) as returned_units,
        coalesce(sum(lines.gross_revenue * conversions.rate), 0) as gross_revenue,
        coalesce(sum(lines.refunds * conversions.rate), 0) as refunds,
        coalesce(sum(lines.lines) filter (where conversions.rate is null), 0)::bigint as unconverted_lines
    from days
    join {{ ref('int_order_line_hours') }} as lines on lines.hour >= days.starts_at and lines.hour < days.ends_at
    left join {{ ref('int_conversions') }} as conversions
        on lines.hour = conversions.hour
        and lines.currency = conversions.currency
    group by 1, 2
),

seen as (
    select
        days.day,
        hours.product_id,
        max(hours.category) as category,
        sum(hours.views)::bigint as views,
        sum(hours.adds)::bigint as adds,
        {%- for name in ['price', 'currency'] %}
        (array_agg(hours.{{ name }} order by hours.hour desc) filter (where hours.price is not null))[1] as {{ name }},
        {%- endfor %}
        (array_agg(hours.closing_stock order by hours.hour desc) filter (where hours.closing_stock is not null))[1]
            as closing_stock,
        min(hours.lowest_stock) as lowest_stock,
        min(hours.oversold_at) as oversold_at
    from days
    join {{ ref('int_product_hours') }} as hours on hours.hour >= days.starts_at and hours.hour < days.ends_at
    group by 1, 2
)

select
    day,
    product_id,
    coalesce(sold.category, seen.category, 'unknown') as category,
    coalesce(seen.views, 0) as views,
    coalesce(seen.adds, 0) as adds,
    coalesce(sold.orders, 0) as orders,
    coalesce(sold.customers, 0) as customers,
    coalesce(sold.sold_units, 0) as sold_units,
    coalesce(sold.returned_units, 0) as returned_units,
    coalesce(sold.gross_revenue, 0) as gross_revenue,
    coalesce(sold.refunds, 0) as refunds,
    coalesce(sold.gross_revenue, 0) - coalesce(sold.refunds, 0) as revenue,
    coalesce(sold.unconverted_lines, 0) as unconverted_lines,
    seen.price,
    seen.currency,
    seen.closing_stock,
    seen.lowest_stock,
    seen.oversold_at
from sold
full join seen using (day, product_id)
