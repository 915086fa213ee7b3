-- Content that is wanted more, or less, than all content is.
select content_id, category, direction, wanted, previous_wanted
from api.content_momentum
where direction in ('rising', 'falling')
order by direction desc, abs(z) desc, content_id
