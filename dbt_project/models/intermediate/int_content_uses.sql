-- What a person did with a piece of content in an hour: what people like, and what becomes of a match, is read from it.
{{ config(grain='hour', key=['user_id', 'content_id', 'hour'], tells=['user_id'], tide_indexes=[['hour']]) }}

select
    content.hour,
    content.user_id,
    content.content_id,
    max(content.category) as category,
    count(*) filter (where content.event_type in ('content_viewed', 'content_started')) as uses,
    count(*) filter (where content.event_type = 'content_completed') as completions,
    count(content.rating) as ratings,
    coalesce(sum(content.rating), 0) as rating_sum,
    max(content.occurred_at) filter (where content.event_type in ('content_viewed', 'content_started')) as used_at,
    max(content.occurred_at) filter (where content.event_type = 'content_completed') as completed_at
from {{ in_touched_hours(ref('stg_content_events'), 'content') }}
where content.user_id is not null and content.content_id is not null
group by 1, 2, 3
