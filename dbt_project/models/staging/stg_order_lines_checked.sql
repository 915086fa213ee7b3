with events as (
    select * from {{ ref('stg_events') }}
    where event_type in ('order_completed', 'order_refunded', 'order_line_recorded')
),

-- An order names its products in a list; an invoice line is its own only product.
lines as (
    select
        events.*,
        coalesce(product.position, 1) as line_number,
        coalesce(product.value, events.properties) as line
    from events
    left join lateral jsonb_array_elements(
        case when jsonb_typeof(events.properties -> 'products') = 'array' then events.properties -> 'products' end
    ) with ordinality as product (value, position) on true
    where events.event_type = 'order_line_recorded' or product.value is not null
),

typed as (
    select
        *,
        properties ->> 'currency' as currency,
        ops.number_of(line -> 'quantity') as stated_quantity,
        ops.number_of(line -> 'price') as price,
        event_type = 'order_refunded' or ops.number_of(line -> 'quantity') < 0 as is_refund
    from lines
)

select
    source,
    event_id,
    line_number,
    occurred_at,
    hour,
    user_id,
    load_id,
    properties ->> 'order_id' as order_id,
    line ->> 'product_id' as product_id,
    line ->> 'category' as category,
    properties ->> 'country' as country,
    currency,
    case when event_type = 'order_refunded' then -stated_quantity else stated_quantity end as quantity,
    price,
    case when event_type = 'order_refunded' then -stated_quantity else stated_quantity end * price as amount,
    is_refund,
    -- what the whole order says stands at its first line, so that sums are right; a refund takes it back
    {% for name in ['discount', 'tax', 'shipping'] -%}
    case when line_number = 1 then
        case when event_type = 'order_refunded' then -1 else 1 end * ops.number_of(properties -> '{{ name }}')
    end as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %},
    -- an invoice's lines may be returns and corrections: there, both may be below zero
    {{ held([
        ['no quantity', 'stated_quantity is null', "line -> 'quantity'"],
        ['no price', 'price is null', "line -> 'price'"],
        ['quantity below zero', "stated_quantity < 0 and event_type <> 'order_line_recorded'", 'stated_quantity'],
        ['price below zero', "price < 0 and event_type <> 'order_line_recorded'", 'price'],
        unknown_currency(),
    ]) }}
from typed
