{{ config(grain='hour', key=['hour', 'transaction_id', 'currency'], tells=['transaction_id'],
          tide_indexes=[['transaction_id']]) }}

with transactions as (
    select transactions.*
    from {{ in_touched_hours(ref('stg_transactions'), 'transactions') }}
)

select
    hour,
    coalesce(transaction_id, source || ':' || event_id) as transaction_id,
    coalesce(currency, 'unknown') as currency,
    min(coalesce(seller_id, 'unknown')) as seller_id,
    min(user_id) filter (where event_type = 'transaction_created') as buyer_id,
    min(sequence) filter (where event_type = 'transaction_created') as sequence,
    {%- for state in ['created', 'settled', 'failed'] %}
    count(*) filter (where event_type = 'transaction_{{ state }}') as {{ state }},
    coalesce(sum(amount) filter (where event_type = 'transaction_{{ state }}'), 0) as {{ state }}_amount,
    min(occurred_at) filter (where event_type = 'transaction_{{ state }}') as {{ state }}_at,
    {%- endfor %}
    coalesce(sum(fee) filter (where event_type = 'transaction_created'), 0) as fees
from transactions
group by 1, 2, 3
