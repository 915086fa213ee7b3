{{ config(grain='day', key=['day', 'user_id'], tide_indexes=[['user_id', 'day']], tells=['user_id']) }}

with days as (
    select * from {{ source('ops', 'touched_days') }}
),

activity as (
    select days.day, hours.user_id, sum(hours.events) as events, count(*) as active_hours
    from {{ ref('int_user_hours') }} as hours
    join days on hours.hour >= days.starts_at and hours.hour < days.ends_at
    group by 1, 2
),

sessions as (
    select days.day, sessions.user_id, count(*) as sessions
    from {{ ref('sessions') }} as sessions
    join days on sessions.hour >= days.starts_at and sessions.hour < days.ends_at
    group by 1, 2
),

lessons as (
    select
        days.day,
        lessons.user_id,
        count(*) as lessons_completed,
        count(lessons.score) as scored_lessons,
        coalesce(sum(lessons.score), 0) as score_sum
    from {{ ref('lessons') }} as lessons
    join days on lessons.hour >= days.starts_at and lessons.hour < days.ends_at
    group by 1, 2
),

orders as (
    select
        days.day,
        orders.user_id,
        count(distinct orders.order_id) filter (where orders.is_order) as orders,
        sum(orders.revenue) filter (where orders.currency = (select currency from ops.tenant)) as revenue
    from {{ ref('int_order_hours') }} as orders
    join days on orders.hour >= days.starts_at and orders.hour < days.ends_at
    group by 1, 2
)

select
    activity.day,
    activity.user_id,
    activity.events,
    activity.active_hours,
    coalesce(sessions.sessions, 0) as sessions,
    coalesce(lessons.lessons_completed, 0) as lessons_completed,
    lessons.score_sum / nullif(lessons.scored_lessons, 0) as average_score,
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.revenue, 0) as revenue,
    coalesce(lessons.scored_lessons, 0) as scored_lessons,
    coalesce(lessons.score_sum, 0) as score_sum
from activity
left join sessions on activity.day = sessions.day and activity.user_id = sessions.user_id
left join lessons on activity.day = lessons.day and activity.user_id = lessons.user_id
left join orders on activity.day = orders.day and activity.user_id = orders.user_id
