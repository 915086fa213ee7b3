with events as (
    select * from {{ ref('stg_events') }}
    where event_type = 'seller_rated'
),

typed as (
    select
        source,
        event_id,
        occurred_at,
        hour,
        user_id,
        load_id,
        properties,
        {{ text_property('seller_id') }} as seller_id,
        {{ text_property('transaction_id') }} as transaction_id,
        {{ number_property('rating') }} as rating
    from events
)

select
    *,
    {{ held([
        ['rating without a seller', 'seller_id is null', 'null'],
        ['rating is no number', is_no_number('rating'), "properties -> 'rating'"],
        ['rating outside 1..5', 'rating not between 1 and 5', 'rating'],
    ]) }}
from typed
