-- Every metric of the catalogue by hour and day, computed by DuckDB from plain events: an independent second opinion.
-- It reads `events` (source, event_id, event_type, occurred_at timestamptz, user_id, properties json) and the variables
-- `zone` and `currency` of the tenant, and makes `metrics` (metric, segment, hour, day, value as text, which for ratios
-- is a fraction): of hour and day, one is set.

create or replace temp macro number(value) as try_cast(value as decimal(18, 6));

create or replace temp table placed as
select
    *,
    timezone(getvariable('zone'), occurred_at) as local_time,
    occurred_at - (local_time - date_trunc('hour', local_time)) as hour,
    local_time::date as day,
    user_id is not null and event_type not in (
        'request_served', 'price_changed', 'competitor_price_observed', 'stock_changed', 'transaction_settled',
        'transaction_failed', 'user_identified', 'group_joined', 'user_aliased', 'statement_voided',
        'experiment_viewed'
    ) as is_activity
from events;

create or replace temp table sessions as
select
    arg_min(hour, occurred_at) as hour,
    arg_min(day, occurred_at) as day,
    epoch_us(max(occurred_at)) - epoch_us(min(occurred_at)) as microseconds,
    count(*) as actions
from (
    select
        *,
        count(*) filter (previous_at is null or occurred_at - previous_at > interval 30 minutes)
            over (partition by user_id order by occurred_at) as session
    from (
        select *, lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at
        from placed
        where is_activity
    )
)
group by user_id, session;

create or replace temp table lines as
with products as (
    select *, unnest((properties -> '$.products')::json[]) as line
    from placed
    where event_type in ('order_completed', 'order_refunded')
    union all by name
    select *, properties as line
    from placed
    where event_type = 'order_line_recorded'
),

typed as (
    select
        *,
        coalesce(properties ->> '$.currency', 'unknown') as currency,
        coalesce(properties ->> '$.order_id', source || ':' || event_id) as order_id,
        number(line ->> '$.quantity') as stated,
        number(line ->> '$.price') as price
    from products
)

select
    *,
    case when event_type = 'order_refunded' then -stated else stated end as quantity,
    quantity * price as amount,
    event_type = 'order_refunded' or stated < 0 as is_refund
from typed;

create or replace temp table metrics as
with people as (
    select
        null as dimension,
        hour,
        day,
        (count(distinct user_id))::varchar as active_users,
        (count(*))::varchar as events
    from placed
    where is_activity
    group by grouping sets ((hour), (day))
),

starts as (
    select
        null as dimension,
        hour,
        day,
        (count(*))::varchar as sessions,
        sum(microseconds) || '/' || 1000000 * count(*) as average_session_seconds,
        sum(actions) || '/' || count(*) as actions_per_session
    from sessions
    group by grouping sets ((hour), (day))
),

content as (
    select
        'category=' || category as dimension,
        hour,
        day,
        (count(*) filter (event_type = 'content_viewed'))::varchar as content_views,
        (count(*) filter (event_type = 'content_completed'))::varchar as content_completions,
        (count(*) filter (event_type = 'content_started'))::varchar as content_starts,
        (coalesce(sum(seconds), 0))::varchar as content_seconds,
        case when count(rating) > 0 then sum(rating) || '/' || count(rating) end as average_rating
    from (
        select
            *,
            coalesce(properties ->> '$.category', 'unknown') as category,
            number(properties ->> '$.rating') as rating,
            number(properties ->> '$.duration_seconds') as seconds
        from placed
    )
    where event_type in ('content_viewed', 'content_started', 'content_completed', 'content_rated')
    group by grouping sets ((hour), (day), (hour, category), (day, category))
),

lessons as (
    select
        'skill=' || skill as dimension,
        hour,
        day,
        (count(*))::varchar as lessons_completed,
        case when count(score) > 0 then sum(score) || '/' || count(score) end as average_score,
        (coalesce(sum(seconds), 0))::varchar as learning_seconds
    from (
        select
            *,
            coalesce(properties ->> '$.skill', 'unknown') as skill,
            number(properties ->> '$.score') as score,
            number(properties ->> '$.duration_seconds') as seconds
        from placed
    )
    where event_type = 'lesson_completed'
    group by grouping sets ((hour), (day), (hour, skill), (day, skill))
),

rooms as (
    select
        'category=' || category as dimension,
        hour,
        day,
        (count(*) filter (event_type = 'room_created'))::varchar as rooms_created,
        (count(*) filter (event_type = 'room_matched'))::varchar as rooms_matched,
        (count(*) filter (event_type = 'vote_cast'))::varchar as votes_cast
    from (select *, coalesce(properties ->> '$.category', 'unknown') as category from placed)
    where event_type in ('room_created', 'room_joined', 'room_started', 'vote_cast', 'room_matched', 'room_completed',
                         'room_abandoned')
    group by grouping sets ((hour), (day), (hour, category), (day, category))
),

shop as (
    select
        'currency=' || currency as dimension,
        hour,
        day,
        (count(distinct order_id) filter (not is_refund))::varchar as orders,
        (coalesce(sum(quantity), 0))::varchar as units,
        (case
            when grouping(currency) = 0 then coalesce(sum(amount), 0)
            when count(*) filter (currency = getvariable('currency')) > 0
                then coalesce(sum(amount) filter (currency = getvariable('currency')), 0)
        end)::varchar as revenue
    from lines
    group by grouping sets ((hour), (day), (hour, currency), (day, currency))
),

marketplace as (
    select
        'currency=' || currency as dimension,
        hour,
        day,
        (count(*) filter (is_created))::varchar as transactions,
        (case
            when grouping(currency) = 0 then coalesce(sum(amount) filter (is_created), 0)
            when count(*) filter (currency = getvariable('currency')) > 0
                then coalesce(sum(amount) filter (is_created and currency = getvariable('currency')), 0)
        end)::varchar as transaction_volume
    from (
        select
            *,
            coalesce(properties ->> '$.currency', 'unknown') as currency,
            number(properties ->> '$.amount') as amount,
            event_type = 'transaction_created' as is_created
        from placed
    )
    where event_type in ('transaction_created', 'transaction_settled', 'transaction_failed')
    group by grouping sets ((hour), (day), (hour, currency), (day, currency))
),

requests as (
    select
        'endpoint=' || endpoint as dimension,
        hour,
        day,
        (count(*))::varchar as requests,
        count(*) filter (status >= 500) || '/' || count(*) as error_rate,
        (quantile_cont(latency_ms, 0.5))::varchar as latency_p50_ms,
        count(*) filter (status < 500) || '/' || count(*) as availability_rate,
        (quantile_cont(latency_ms, 0.95))::varchar as latency_p95_ms,
        (quantile_cont(latency_ms, 0.99))::varchar as latency_p99_ms
    from (
        select
            *,
            coalesce(properties ->> '$.endpoint', 'unknown') as endpoint,
            number(properties ->> '$.status') as status,
            try_cast(properties ->> '$.latency_ms' as double) as latency_ms
        from placed
    )
    where event_type = 'request_served'
    group by grouping sets ((hour), (day), (hour, endpoint), (day, endpoint))
),

measured as (
    select dimension, hour, day, metric, value from people unpivot (value for metric in (active_users, events))
    union all by name
    select dimension, hour, day, metric, value from starts unpivot (value for metric in (sessions, average_session_seconds, actions_per_session))
    union all by name
    select dimension, hour, day, metric, value from content unpivot (value for metric in (content_views, content_completions, content_starts, content_seconds, average_rating))
    union all by name
    select dimension, hour, day, metric, value from lessons unpivot (value for metric in (lessons_completed, average_score, learning_seconds))
    union all by name
    select dimension, hour, day, metric, value from rooms unpivot (value for metric in (rooms_created, rooms_matched, votes_cast))
    union all by name
    select dimension, hour, day, metric, value from shop unpivot (value for metric in (orders, units, revenue))
    union all by name
    select dimension, hour, day, metric, value from marketplace unpivot (value for metric in (transactions, transaction_volume))
    union all by name
    select dimension, hour, day, metric, value from requests unpivot (value for metric in (requests, error_rate, availability_rate, latency_p50_ms, latency_p95_ms, latency_p99_ms))
)

select metric, coalesce(dimension, 'all') as segment, hour, day, value
from measured;
