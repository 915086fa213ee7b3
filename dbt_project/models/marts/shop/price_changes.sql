-- Of several prices that were announced for the same moment, the one with the greatest identity.
{{ config(grain='hour', key=['product_id', 'currency', 'since'], tide_indexes=[['hour']]) }}

with announced as (
    select announced.*
    from {{ in_touched_hours(of_types(ref('stg_product_events'), ['price_changed']), 'announced') }}
    where announced.product_id is not null
      and announced.price is not null
)

select distinct on (product_id, coalesce(currency, 'unknown'), occurred_at)
    hour,
    product_id,
    coalesce(currency, 'unknown') as currency,
    occurred_at as since,
    price,
    previous_price
from announced
order by product_id, coalesce(currency, 'unknown'), occurred_at, source desc, event_id desc
