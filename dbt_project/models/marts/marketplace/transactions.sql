-- What its states add up to. In a currency, what came in is what went out: settled, failed, or still pending; anything
-- else has a status that says what is wrong, and its difference is what cannot be accounted for.
{{ config(grain='entity', entity='transaction_id', of=['int_transaction_hours'], key=['transaction_id'],
          tells=['seller_id'], tide_indexes=[['seller_id', 'created_at'], ['created_day']]) }}

with touched as (
    select transaction_id from {{ touched_entities('transaction_id', ['int_transaction_hours']) }} as touched
),

states as (
    select
        hours.transaction_id,
        min(hours.seller_id) as seller_id,
        count(distinct hours.seller_id) as sellers,
        min(hours.buyer_id) as buyer_id,
        min(hours.sequence) as sequence,
        coalesce(min(hours.currency) filter (where hours.created > 0), min(hours.currency)) as currency,
        count(distinct hours.currency) as currencies,
        {%- for state in ['created', 'settled', 'failed'] %}
        sum(hours.{{ state }})::bigint as {{ state }},
        sum(hours.{{ state }}_amount) as {{ state }}_amount,
        min(hours.{{ state }}_at) as {{ state }}_at,
        {%- endfor %}
        sum(hours.fees) as fee
    from {{ ref('int_transaction_hours') }} as hours
    join touched on hours.transaction_id = touched.transaction_id
    group by 1
),

judged as (
    select
        *,
        case
            when created = 0 then 'never_created'
            when created > 1 then 'created_twice'
            when settled > 0 and failed > 0 then 'settled_and_failed'
            when settled > 1 or failed > 1 then 'decided_twice'
            when currencies > 1 then 'currency_differs'
            when sellers > 1 then 'seller_differs'
            when settled > 0 and settled_amount <> created_amount then 'amount_differs'
            when failed > 0 and failed_amount <> created_amount then 'amount_differs'
            when least(settled_at, failed_at) < created_at then 'decided_before_created'
            when settled > 0 then 'settled'
            when failed > 0 then 'failed'
            else 'pending'
        end as status
    from states
)

select
    transaction_id,
    seller_id,
    buyer_id,
    sequence,
    currency,
    status,
    status in ('settled', 'failed', 'pending') as is_reconciled,
    created_amount as amount,
    fee,
    settled_amount,
    failed_amount,
    case when status = 'pending' then created_amount else 0 end as pending_amount,
    created_amount - settled_amount - failed_amount
        - case when status = 'pending' then created_amount else 0 end as unaccounted_amount,
    created_at,
    coalesce(settled_at, failed_at) as decided_at,
    case when status = 'settled' then extract(epoch from settled_at - created_at) end as settlement_seconds,
    ops.day_of(coalesce(created_at, settled_at, failed_at), ops.timezone()) as created_day
from judged
