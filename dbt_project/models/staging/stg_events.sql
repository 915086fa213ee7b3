with events as (
    select * from {{ source('raw', 'events') }}
),

-- A join with its one row, where a function would be called for every event.
tenant as (
    select timezone, hour_origin from ops.tenant
)

select
    source,
    event_id,
    event_type,
    occurred_at,
    coalesce(
        date_bin('1 hour', occurred_at, tenant.hour_origin), ops.hour_of(occurred_at, tenant.timezone)
    ) as hour,
    user_id,
    session_id,
    properties,
    load_id,
    case
        when event_type in ('page_viewed', 'content_viewed', 'content_started', 'content_completed', 'content_rated',
                            'content_searched', 'experiment_viewed') then 'engagement'
        when event_type in ('lesson_started', 'lesson_completed') then 'learning'
        when event_type in ('room_created', 'room_joined', 'room_started', 'room_paused', 'room_resumed', 'vote_cast',
                            'room_matched', 'room_completed', 'room_abandoned') then 'rooms'
        when event_type in ('product_viewed', 'product_added', 'checkout_started', 'order_completed',
                            'order_refunded', 'order_line_recorded', 'price_changed', 'competitor_price_observed',
                            'stock_changed', 'exchange_rate_published') then 'shop'
        when event_type in ('transaction_created', 'transaction_settled', 'transaction_failed', 'seller_rated')
            then 'marketplace'
        when event_type = 'request_served' then 'system'
        when event_type in ('consent_given', 'consent_withdrawn') then 'other'
        else 'other'
    end as system,
    -- what a person did, as against what a machine did on somebody's behalf
    user_id is not null and event_type not in (
        'request_served', 'price_changed', 'competitor_price_observed', 'stock_changed', 'transaction_settled',
        'transaction_failed', 'exchange_rate_published', 'user_identified', 'group_joined', 'user_aliased',
        'statement_voided', 'experiment_viewed', 'consent_given', 'consent_withdrawn'
    ) as is_activity
from events
cross join tenant
-- A build sees no load beyond its high mark, though one may commit meanwhile: its gates have not judged it.
where events.load_id <= (select coalesce(nullif(ops.build_setting('up_to'), 0), 9223372036854775807))
  and not exists (
      select from ops.voided where voided.source = events.source and voided.event_id = events.event_id
  )
  -- nor what somebody did who did not agree to analytics then: what they said last decides. Nobody looks where nobody
  -- ever said anything.
  and (
      not (select exists (select from raw.consents))
      or coalesce((
          select stated.is_given
          from raw.consents as stated
          where stated.user_id = events.user_id and stated.purpose = 'analytics'
            and stated.occurred_at <= events.occurred_at
            and stated.load_id <= (select coalesce(nullif(ops.build_setting('up_to'), 0), 9223372036854775807))
          order by stated.occurred_at desc, stated.is_given desc
          limit 1
      ), true)
  )
