-- Of several rates that were published within an hour, the last.
{{ config(grain='hour', key=['hour', 'currency', 'base_currency'], tide_indexes=[['currency', 'day']]) }}

with rates as (
    select rates.*
    from {{ in_touched_hours(ref('stg_exchange_rates'), 'rates') }}
    where rates.rate > 0 and rates.currency is not null and rates.base_currency is not null
)

select distinct on (hour, currency, base_currency)
    hour,
    currency,
    base_currency,
    ops.day_of(occurred_at, ops.timezone()) as day,
    rate
from rates
order by hour, currency, base_currency, occurred_at desc, source, event_id
