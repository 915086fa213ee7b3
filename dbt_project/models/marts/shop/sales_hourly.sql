-- Amounts in their own currency, and converted into the tenant's. What has no rate is counted, not added.
{{ config(grain='hour', key=['hour', 'currency', 'country', 'category']) }}

with lines as (
    select lines.*
    from {{ ref('int_order_line_hours') }} as lines
    join {{ source('ops', 'touched') }} as touched on lines.hour = touched.hour
),

sales as (
    select
        hour,
        currency,
        country,
        category,
        sum(lines)::bigint as lines,
        sum(sold_units) as sold_units,
        sum(returned_units) as returned_units,
        sum(gross_revenue) as gross_revenue,
        sum(refunds) as refunds
    from lines
    group by 1, 2, 3, 4
)

select
    sales.hour,
    sales.currency,
    sales.country,
    sales.category,
    sales.lines,
    sales.sold_units,
    sales.returned_units,
    sales.gross_revenue,
    sales.refunds,
    sales.gross_revenue - sales.refunds as revenue,
    conversions.rate,
    (sales.gross_revenue - sales.refunds) * conversions.rate as converted_revenue,
    case when conversions.rate is null then sales.lines else 0 end as unconverted_lines
from sales
left join {{ ref('int_conversions') }} as conversions
    on sales.hour = conversions.hour
    and sales.currency = conversions.currency
