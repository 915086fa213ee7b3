-- Converted revenue is in one currency, so its countries and its categories each sum to the whole, and that is every
-- line's amount at its day's rate. Any row here is a defect.
with daily as (
    select day, segment, split_part(segment, '=', 1) as dimension, value
    from {{ ref('metric_daily') }}
    where metric = 'converted_revenue'
),

wholes as (
    select ops.day_of(hour, ops.timezone()) as day, sum((gross_revenue - refunds) * conversions.rate) as value
    from {{ ref('int_order_line_hours') }}
    left join {{ ref('int_conversions') }} as conversions using (hour, currency)
    group by 1
),

parts as (
    select day, dimension, sum(value) as value
    from daily
    group by 1, 2
)

select parts.*, wholes.value as whole
from parts
full join wholes using (day)
where parts.value is distinct from wholes.value
  and (wholes.value is not null or parts.dimension = 'all')
