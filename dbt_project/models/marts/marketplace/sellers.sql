-- Over all that a seller sold: to how many, and how much of it to the largest and to few. The concentration is the
-- Herfindahl–Hirschman index: the sum of the squared shares of the buyers in the number of transactions.
{{ config(grain='entity', entity='seller_id', of=['transactions'], key=['seller_id']) }}

with touched as (
    select seller_id from {{ touched_entities('seller_id', ['transactions']) }} as touched
),

by_buyer as (
    select
        transactions.seller_id,
        transactions.buyer_id,
        count(*) as transactions,
        min(transactions.created_at) as first_at,
        max(transactions.created_at) as last_at,
        count(*) filter (where transactions.status = 'settled') as settled,
        count(*) filter (where transactions.status = 'failed') as failed,
        sum(transactions.settlement_seconds) as settlement_seconds
    from {{ ref('transactions') }} as transactions
    join touched on transactions.seller_id = touched.seller_id
    where transactions.created_at is not null
    group by 1, 2
)

select
    seller_id,
    min(first_at) as first_sale_at,
    max(last_at) as last_sale_at,
    sum(transactions)::bigint as transactions,
    count(buyer_id) as customers,
    count(buyer_id) filter (where transactions > 1) as repeat_customers,
    max(transactions) filter (where buyer_id is not null) / sum(transactions) as largest_customer_rate,
    sum(transactions * transactions) filter (where buyer_id is not null) / (sum(transactions) * sum(transactions))
        as customer_concentration,
    sum(settled)::bigint as settled,
    sum(failed)::bigint as failed,
    sum(settlement_seconds) / nullif(sum(settled), 0) as average_settlement_seconds
from by_buyer
group by 1
