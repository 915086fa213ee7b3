-- Content that anybody used or put to the vote in the ninety days before, with its category.
select content_id as item_id, coalesce(max(category), 'unknown') as category
from (
    select content_id, category, day from marts.content_item_daily
    union all
    select content_id, category, day from marts.room_content_daily
) as seen
where day > (select max(day) - 90 from api.metric_daily where is_final and segment = 'all')
group by 1
order by 1
