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
        'transaction_failed', 'exchange_rate_published', 'user_identified', 'group_joined', 'user_aliased',
        'statement_voided', 'experiment_viewed'
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
    event_type = 'order_refunded' or stated < 0 as is_refund,
    coalesce(properties ->> '$.country', 'unknown') as country,
    coalesce(line ->> '$.category', 'unknown') as category
from typed;

-- What an order says as a whole, once, if it has lines; a refund takes it back.
create or replace temp table order_totals as
select distinct
    source, event_id, hour, day,
    coalesce(properties ->> '$.currency', 'unknown') as currency,
    coalesce(case when event_type = 'order_refunded' then -1 else 1 end * number(properties ->> '$.discount'), 0) as discount,
    coalesce(case when event_type = 'order_refunded' then -1 else 1 end * number(properties ->> '$.tax'), 0) as tax
from lines;

-- The last rate of each day, and the value of a currency on a day: that of the day, or of up to seven days before.
create or replace temp table rates as
select properties ->> '$.currency' as currency, day, arg_max(number(properties ->> '$.rate'), occurred_at) as rate
from placed
where event_type = 'exchange_rate_published' and properties ->> '$.base_currency' = getvariable('currency')
group by 1, 2;

create or replace temp table conversions as
select days.currency, days.day, case when days.currency = getvariable('currency') then 1 else max_by(rate, rates.day) end as rate
from (select distinct currency, day from lines) as days
left join rates on rates.currency = days.currency and rates.day <= days.day and rates.day >= days.day - 7
group by days.currency, days.day;

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

sums_of_currencies as (
    select
        currency,
        hour,
        day,
        (sum(gross))::varchar as gross_revenue,
        (sum(refund))::varchar as refunds,
        (sum(discount))::varchar as discounts,
        (sum(gross - refund - discount))::varchar as net_revenue,
        (sum(tax))::varchar as taxes,
        case when count(distinct counted) > 0 then sum(gross) || '/' || count(distinct counted) end as average_order_value
    from (
        select hour, day, currency, case when not is_refund then hour || order_id end as counted,
            case when not is_refund then coalesce(amount, 0) else 0 end as gross,
            case when is_refund then -coalesce(amount, 0) else 0 end as refund, 0 as discount, 0 as tax
        from lines
        union all
        select hour, day, currency, null, 0, 0, discount, tax
        from order_totals
    )
    group by grouping sets ((hour, currency), (day, currency))
),

sums as (
    select 'currency=' || currency as dimension, * exclude currency from sums_of_currencies
    union all
    select null, * exclude currency from sums_of_currencies where currency = getvariable('currency')
),

converted as (
    select
        case when grouping(country) = 0 then 'country=' || country else 'category=' || category end as dimension,
        hour,
        day,
        (sum(coalesce(amount, 0) * rate))::varchar as converted_revenue,
        (count(*) filter (rate is null))::varchar as unconverted_lines,
        (coalesce(sum(quantity) filter (not is_refund), 0))::varchar as sold_units,
        (-coalesce(sum(quantity) filter (is_refund), 0))::varchar as returned_units
    from lines
    join conversions using (currency, day)
    group by grouping sets (
        (hour), (day), (hour, country), (day, country), (hour, category), (day, category)
    )
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
        end)::varchar as transaction_volume,
        (case
            when grouping(currency) = 0 then coalesce(sum(fee) filter (is_created), 0)
            when count(*) filter (currency = getvariable('currency')) > 0
                then coalesce(sum(fee) filter (is_created and currency = getvariable('currency')), 0)
        end)::varchar as fees,
        (case
            when grouping(currency) = 0 then coalesce(sum(amount) filter (is_settled), 0)
            when count(*) filter (currency = getvariable('currency')) > 0
                then coalesce(sum(amount) filter (is_settled and currency = getvariable('currency')), 0)
        end)::varchar as settled_volume,
        (count(*) filter (is_settled))::varchar as settled_transactions,
        (count(*) filter (is_failed))::varchar as failed_transactions,
        case when count(*) filter (is_settled or is_failed) > 0
            then count(*) filter (is_failed) || '/' || count(*) filter (is_settled or is_failed) end as failure_rate
    from (
        select
            *,
            coalesce(properties ->> '$.currency', 'unknown') as currency,
            number(properties ->> '$.amount') as amount,
            number(properties ->> '$.fee') as fee,
            event_type = 'transaction_created' as is_created,
            event_type = 'transaction_settled' as is_settled,
            event_type = 'transaction_failed' as is_failed
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
    select dimension, hour, day, metric, value from marketplace unpivot (value for metric in (transactions, transaction_volume, fees, settled_volume, settled_transactions, failed_transactions, failure_rate))
    union all by name
    select dimension, hour, day, metric, value from sums unpivot (value for metric in (gross_revenue, refunds, discounts, net_revenue, taxes, average_order_value))
    union all by name
    select dimension, hour, day, metric, value from converted unpivot (value for metric in (converted_revenue, unconverted_lines, sold_units, returned_units))
    union all by name
    select dimension, hour, day, metric, value from requests unpivot (value for metric in (requests, error_rate, availability_rate, latency_p50_ms, latency_p95_ms, latency_p99_ms))
)

select metric, coalesce(dimension, 'all') as segment, hour, day, value
from measured;
