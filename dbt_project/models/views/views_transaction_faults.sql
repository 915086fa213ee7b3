-- What somebody should look at: what does not add up, amounts just below a reporting limit, and sales that were split
-- below it: two or more of them between the same two parties within 24 hours that together reach it.
{{ config(key=['seller_id', 'fault', 'subject']) }}

with near as (
    select
        known.seller_id, known.buyer_id, known.transaction_id, known.created_at, known.currency, known.amount,
        limits.amount as reporting_limit,
        count(*) over day_before as transactions,
        sum(known.amount) over day_before as total
    from {{ ref('transactions') }} as known
    join {{ source('ops', 'reporting_limits') }} as limits
        on known.currency = limits.currency
        and known.amount < limits.amount
        and known.amount >= limits.amount * (1 - limits.near_rate)
    window day_before as (
        partition by known.seller_id, known.buyer_id, known.currency order by known.created_at
        range between interval '24 hours' preceding and current row
    )
),

limited as (
    select
        seller_id, 'near_limit' as fault, transaction_id as subject, created_at as at, currency, amount,
        'is just below ' || reporting_limit as detail
    from near
    union all
    select
        seller_id, 'split', transaction_id, created_at, currency, total,
        transactions || ' sales to one buyer within 24 hours, each just below ' || reporting_limit
    from near
    where buyer_id is not null and transactions > 1 and total >= reporting_limit
)

select * from {{ ref('transaction_faults') }}
union all
select * from limited
