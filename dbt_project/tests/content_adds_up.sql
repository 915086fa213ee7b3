-- Categories by the hour and pieces of content by the day come to the same uses, day by day.
with categories as (
    select
        ops.day_of(hour, ops.timezone()) as day,
        sum(views) as views, sum(starts) as starts, sum(completions) as completions, sum(ratings) as ratings,
        sum(rating_sum) as rating_sum, sum(seconds) as seconds
    from {{ ref('content_hourly') }}
    group by 1
),

items as (
    select
        day,
        sum(views) as views, sum(starts) as starts, sum(completions) as completions, sum(ratings) as ratings,
        sum(rating_sum) as rating_sum, sum(seconds) as seconds
    from {{ ref('content_item_daily') }}
    group by 1
)

select coalesce(categories.day, items.day) as day
from categories
full join items on categories.day = items.day
where categories is distinct from items
