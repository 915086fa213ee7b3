{{ config(grain='hour', key=['hour', 'category']) }}

with content as (
    select content.*
    from {{ ref('stg_content_events') }} as content
    {{ join_touched('content') }}
)

select
    hour,
    coalesce(category, 'unknown') as category,
    count(*) filter (where event_type = 'content_viewed') as views,
    count(*) filter (where event_type = 'content_started') as starts,
    count(*) filter (where event_type = 'content_completed') as completions,
    count(*) filter (where event_type = 'content_rated') as ratings
from content
group by 1, 2
