-- Without a category, it is empty.
{{ config(grain='hour', key=['hour', 'content_id', 'category']) }}

with content as (
    select content.*
    from {{ in_touched_hours(ref('stg_content_events'), 'content') }}
)

select
    hour,
    content_id,
    coalesce(category, '') as category,
    count(*) filter (where event_type = 'content_viewed') as views,
    count(*) filter (where event_type = 'content_started') as starts,
    count(*) filter (where event_type = 'content_completed') as completions,
    count(rating) as ratings,
    coalesce(sum(rating), 0) as rating_sum,
    count(score) as scored,
    coalesce(sum(score), 0) as score_sum,
    coalesce(sum(duration_seconds), 0) as seconds
from content
where content_id is not null
group by 1, 2, 3
