{{ config(grain='hour', key=['hour', 'category']) }}

select
    items.hour,
    coalesce(nullif(items.category, ''), 'unknown') as category,
    sum(items.views)::bigint as views,
    sum(items.starts)::bigint as starts,
    sum(items.completions)::bigint as completions,
    sum(items.ratings)::bigint as ratings,
    sum(items.rating_sum) as rating_sum,
    sum(items.seconds) as seconds
from {{ ref('int_content_item_hours') }} as items
join {{ source('ops', 'touched') }} as touched on items.hour = touched.hour
group by 1, 2
