-- What was observed at competitors: of each hour the last price.
{{ config(grain='hour', key=['hour', 'product_id', 'competitor', 'currency']) }}

with observed as (
    select observed.*
    from {{ in_touched_hours(of_types(ref('stg_product_events'), ['competitor_price_observed']), 'observed') }}
    where observed.product_id is not null
      and observed.price is not null
)

select
    hour,
    product_id,
    coalesce(competitor, 'unknown') as competitor,
    coalesce(currency, 'unknown') as currency,
    (array_agg(price order by occurred_at desc, source desc, event_id desc))[1] as price,
    max(occurred_at) as observed_at,
    count(*) as observations
from observed
group by 1, 2, 3, 4
