-- The hundred contents that were viewed most in the seven newest complete days, beside the seven before.
{{ config(key=['place']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

contents as (
    select
        as_of.day as as_of_day,
        items.content_id,
        max(items.category) as category,
        coalesce(sum(items.views) filter (where items.day > as_of.day - 7), 0) as views,
        coalesce(sum(items.views) filter (where items.day <= as_of.day - 7), 0) as previous_views,
        coalesce(sum(items.completions) filter (where items.day > as_of.day - 7), 0) as completions,
        sum(items.rating_sum) filter (where items.day > as_of.day - 7)
            / nullif(sum(items.ratings) filter (where items.day > as_of.day - 7), 0) as average_rating
    from {{ ref('content_item_daily') }} as items
    join as_of on items.day > as_of.day - 14 and items.day <= as_of.day
    group by 1, 2
),

placed as (
    select *, row_number() over (order by views desc, completions desc, content_id) as place
    from contents
    where views > 0
)

select place, content_id, category, views, previous_views, completions, average_rating, as_of_day
from placed
where place <= 100
