with events as (
    select * from {{ ref('stg_events') }}
)

select
    source,
    event_id,
    occurred_at,
    hour,
    user_id,
    load_id,
    {{ text_property('seller_id') }} as seller_id,
    {{ text_property('transaction_id') }} as transaction_id,
    {{ number_property('rating') }} as rating
from events
where event_type = 'seller_rated'
