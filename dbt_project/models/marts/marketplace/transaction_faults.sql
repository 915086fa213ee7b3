-- What does not add up: transactions whose states disagree, gaps and repeats in a seller's numbers.
{{ config(grain='entity', entity='seller_id', of=['transactions'],
          key=['seller_id', 'fault', 'subject']) }}

with touched as (
    select seller_id from {{ touched_entities('seller_id', ['transactions']) }} as touched
),

known as (
    select transactions.*
    from {{ ref('transactions') }} as transactions
    join touched on transactions.seller_id = touched.seller_id
),

unreconciled as (
    select
        seller_id, status as fault, transaction_id as subject, coalesce(created_at, decided_at) as at, currency,
        unaccounted_amount as amount,
        'what was created is not what was settled, failed or is pending' as detail
    from known
    where not is_reconciled
),

numbered as (
    select
        seller_id, sequence, transaction_id, created_at, currency,
        lag(sequence) over numbers as previous_sequence,
        lag(transaction_id) over numbers as previous_id
    from known
    where sequence is not null
    window numbers as (partition by seller_id order by sequence, created_at, transaction_id)
),

gaps as (
    select
        seller_id, 'sequence_gap' as fault, (previous_sequence + 1)::text as subject, created_at as at, currency,
        null::numeric as amount,
        'numbers ' || previous_sequence + 1 || ' to ' || sequence - 1 || ' are missing' as detail
    from numbered
    where sequence > previous_sequence + 1
    union all
    select
        seller_id, 'sequence_repeated', transaction_id, created_at, currency, null,
        'has the number ' || sequence || ' of ' || previous_id
    from numbered
    where sequence = previous_sequence
)

select * from unreconciled
union all
select * from gaps
