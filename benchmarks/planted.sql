-- The figures of a simulation's files that the shipped rules look at, by hour (and hours without any are missing).
set timezone = 'UTC';

create table events as
select distinct on (event_id) *
from read_json(
    getvariable('files'), format = 'newline_delimited', ignore_errors = true,
    columns = {event_id: 'varchar', event_type: 'varchar', occurred_at: 'timestamptz', user_id: 'varchar',
               properties: 'json'}
)
where event_id is not null and event_type is not null
  and occurred_at >= getvariable('first_at') and occurred_at < getvariable('end_at');

create table hours as
with actions as (
    select * from events
    where event_type not in (
        'request_served', 'stock_changed', 'exchange_rate_published', 'price_changed', 'competitor_price_observed'
    )
),

sessions as (
    select occurred_at
    from (
        select occurred_at, lag(occurred_at) over (partition by user_id order by occurred_at) as before from actions
    )
    where before is null or occurred_at > before + interval 30 minutes
),

lines as (
    select occurred_at, event_type, unnest((properties -> 'products')::json[]) as line
    from events where event_type in ('order_completed', 'order_refunded')
),

requests as (
    select occurred_at, properties ->> 'endpoint' as endpoint, (properties ->> 'status')::int as status,
        (properties ->> 'latency_ms')::double as latency_ms
    from events where event_type = 'request_served'
),

values as (
    select 'orders' as metric, 'all' as segment, occurred_at, 1.0 as value, 'sum' as kind
    from events where event_type = 'order_completed'
    union all
    select 'revenue', 'all', occurred_at,
        (line ->> 'price')::double * (line ->> 'quantity')::double * if(event_type = 'order_refunded', -1, 1), 'sum'
    from lines
    union all
    select 'content_views', 'all', occurred_at, 1, 'sum' from events where event_type = 'content_viewed'
    union all
    select 'events', 'all', occurred_at, 1, 'sum' from actions
    union all
    select 'sessions', 'all', occurred_at, 1, 'sum' from sessions
    union all
    select 'requests', 'all', occurred_at, 1, 'sum' from requests
    union all
    select 'error_rate', 'all', occurred_at, (status >= 500)::int, 'mean' from requests
    union all
    select 'latency_p95_ms', 'endpoint=' || endpoint, occurred_at, latency_ms, 'p95' from requests
)

select metric, segment, time_bucket(interval 1 hour, occurred_at) as hour,
    case any_value(kind)
        when 'sum' then sum(value) when 'mean' then avg(value) else quantile_cont(value, 0.95)
    end as value
from values
group by all
union all
select 'active_users', 'all', time_bucket(interval 1 hour, occurred_at), count(distinct user_id) from actions group by all
order by all;
