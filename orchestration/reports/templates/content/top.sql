-- The content that is seen most.
select content_id, category, views, previous_views, completions, average_rating
from api.top_content
order by place
