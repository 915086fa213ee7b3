-- How each piece of content did over the 28 newest complete days. A rating is pulled towards the mean of all by as many
-- votes as ten, so that one vote makes no champion.
{{ config(key=['content_id']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

contents as (
    select
        as_of.day as as_of_day,
        items.content_id,
        max(items.category) as category,
        sum(items.views)::bigint as views,
        sum(items.starts)::bigint as starts,
        sum(items.completions)::bigint as completions,
        sum(items.ratings)::bigint as ratings,
        sum(items.rating_sum) as rating_sum,
        sum(items.scored)::bigint as scored,
        sum(items.score_sum) as score_sum,
        sum(items.seconds) as seconds
    from {{ ref('content_item_daily') }} as items
    join as_of on items.day > as_of.day - 28 and items.day <= as_of.day
    group by 1, 2
),

overall as (
    select sum(rating_sum) / nullif(sum(ratings), 0) as average_rating from contents
)

select
    contents.content_id,
    contents.category,
    contents.views,
    contents.starts,
    contents.completions,
    least(contents.completions, contents.starts)::numeric / nullif(contents.starts, 0) as completion_rate,
    1 - least(contents.completions, contents.starts)::numeric / nullif(contents.starts, 0) as drop_off_rate,
    contents.seconds,
    contents.scored,
    contents.score_sum / nullif(contents.scored, 0) as average_score,
    contents.ratings,
    contents.rating_sum / nullif(contents.ratings, 0) as average_rating,
    (contents.rating_sum + 10 * overall.average_rating) / (contents.ratings + 10) as shrunk_rating,
    contents.as_of_day
from contents
cross join overall
