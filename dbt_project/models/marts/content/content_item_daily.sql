{{ config(grain='day', key=['day', 'content_id']) }}

select
    touched.day,
    hours.content_id,
    nullif(max(hours.category), '') as category,
    sum(hours.views)::bigint as views,
    sum(hours.starts)::bigint as starts,
    sum(hours.completions)::bigint as completions,
    sum(hours.ratings)::bigint as ratings,
    sum(hours.rating_sum) as rating_sum,
    sum(hours.scored)::bigint as scored,
    sum(hours.score_sum) as score_sum,
    sum(hours.seconds) as seconds
from {{ ref('int_content_item_hours') }} as hours
join {{ source('ops', 'touched_days') }} as touched
    on hours.hour >= touched.starts_at
    and hours.hour < touched.ends_at
group by 1, 2
