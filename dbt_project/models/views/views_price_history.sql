-- Every price that stood until another was announced. What stood before the first has no beginning: nobody told it.
{{ config(key=['product_id', 'currency', 'place']) }}

with announced as (
    select
        *,
        row_number() over (partition by product_id, currency order by since) as place
    from {{ ref('price_changes') }}
),

prices as (
    select product_id, currency, place, price, since from announced
    union all
    select product_id, currency, 0, previous_price, null from announced
    where place = 1 and previous_price is not null
)

select
    product_id,
    currency,
    place,
    price,
    price / nullif(lag(price) over history, 0) - 1 as change_rate,
    since,
    lead(since) over history as until
from prices
window history as (partition by product_id, currency order by place)
